// SPDX-License-Identifier: MIT
#include "elf.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

namespace fffa::testing {

namespace {

// The whole file, with bounds-checked views into it. Nothing in it is trusted.
class Elf {
 public:
  static Result<Elf> open(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return system_error("open " + path.string());
    Elf elf;
    elf.bytes_.assign(std::istreambuf_iterator<char>(stream), {});
    const auto header = elf.read<Elf64_Ehdr>(0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64) {
      return fail(path.string() + " is no 64-bit ELF file");
    }
    for (std::size_t i = 0; i < header->e_shnum; ++i) {
      const auto section = elf.read<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr));
      if (!section) return fail(path.string() + " is cut short");
      elf.sections_.push_back(*section);
    }
    elf.names_ = header->e_shstrndx;
    return elf;
  }

  const std::vector<Elf64_Shdr>& sections() const { return sections_; }
  std::string name(const Elf64_Shdr& section) const { return string(names_, section.sh_name); }
  std::string string(std::size_t table, std::size_t offset) const {
    if (table >= sections_.size() || offset >= sections_[table].sh_size) return {};
    return text(sections_[table].sh_offset + offset, sections_[table].sh_size - offset);
  }
  std::string text(std::size_t offset, std::size_t length) const {
    if (offset > bytes_.size() || length > bytes_.size() - offset) return {};
    return bytes_.substr(offset, strnlen(bytes_.data() + offset, length));
  }
  template <typename T>
  std::optional<T> read(std::size_t offset) const {
    if (offset > bytes_.size() || sizeof(T) > bytes_.size() - offset) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

 private:
  std::string bytes_;
  std::vector<Elf64_Shdr> sections_;
  std::size_t names_ = 0;
};

}  // namespace

Result<std::string> section_text(const std::filesystem::path& library, const std::string& name) {
  auto elf = Elf::open(library);
  if (!elf.ok()) return elf.error();
  for (const auto& section : elf->sections()) {
    if (elf->name(section) == name) return elf->text(section.sh_offset, section.sh_size);
  }
  return fail(library.string() + " has no section " + name);
}

Result<std::vector<std::string>> exported_symbols(const std::filesystem::path& library) {
  auto elf = Elf::open(library);
  if (!elf.ok()) return elf.error();
  std::vector<std::string> names;
  for (const auto& section : elf->sections()) {
    if (section.sh_type != SHT_DYNSYM) continue;
    for (std::size_t offset = 0; offset + sizeof(Elf64_Sym) <= section.sh_size; offset += sizeof(Elf64_Sym)) {
      const auto symbol = elf->read<Elf64_Sym>(section.sh_offset + offset);
      if (!symbol) break;
      const auto visibility = ELF64_ST_VISIBILITY(symbol->st_other);
      const bool shared =
          ELF64_ST_BIND(symbol->st_info) != STB_LOCAL && (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
      if (symbol->st_shndx != SHN_UNDEF && shared) names.push_back(elf->string(section.sh_link, symbol->st_name));
    }
  }
  return names;
}

}  // namespace fffa::testing
