// SPDX-License-Identifier: MIT
#include "loader/build_tag.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "fffa/detail/build_tag.h"

namespace fffa::core {
namespace {

constexpr std::string_view kPrefix = "fffa-build-tag ";
constexpr std::size_t kLongestTag = 512;

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#else
constexpr Elf64_Half kMachine = EM_AARCH64;
#endif

std::string machine_name(Elf64_Half machine) {
  switch (machine) {
    case EM_X86_64: return "x86_64";
    case EM_AARCH64: return "aarch64";
    case EM_386: return "i386";
    case EM_ARM: return "arm";
    case EM_BPF: return "bpf";
    default: return "machine " + std::to_string(machine);
  }
}

// A file of which only what lies inside it can be read.
class Reader {
 public:
  explicit Reader(int fd) : fd_(fd) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { ::close(fd_); }

  bool read(std::uint64_t offset, void* to, std::size_t size) const {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
    return offset < kMost && ::pread(fd_, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }
  // The text at `offset`, up to its zero byte or `most` bytes or the end of the file.
  std::string text(std::uint64_t offset, std::size_t most) const {
    std::string bytes(most, '\0');
    if (offset >= (std::uint64_t{1} << 62)) return {};
    const ssize_t n = ::pread(fd_, bytes.data(), most, static_cast<off_t>(offset));
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes.substr(0, bytes.find('\0'));
  }

 private:
  int fd_;
};

Result<void> check_header(const Elf64_Ehdr& header) {
  const unsigned char* ident = header.e_ident;
  if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
    return fail("a library for another kind of machine");
  if (header.e_machine != kMachine) {
    return fail("a library for " + machine_name(header.e_machine) + ", fffa runs on " + machine_name(kMachine));
  }
  if (header.e_type != ET_DYN) return fail("not a shared library");
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 || header.e_shstrndx >= header.e_shnum) {
    return fail("its section table is missing or damaged");
  }
  return {};
}

Result<std::string> find_tag(const Reader& file) {
  Elf64_Ehdr header{};
  std::array<char, SELFMAG> magic{};
  if (!file.read(0, magic.data(), magic.size()) || std::string_view(magic.data(), magic.size()) != ELFMAG) {
    return fail("not a shared library");
  }
  if (!file.read(0, &header, sizeof header)) return fail("a truncated library");
  if (auto good = check_header(header); !good) return good.error();
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!file.read(header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr)))
    return fail("a truncated library");
  const std::string_view wanted = FFFA_BUILD_TAG_SECTION;
  const std::uint64_t names = sections[header.e_shstrndx].sh_offset;
  for (const auto& section : sections) {
    if (section.sh_type == SHT_NOBITS || file.text(names + section.sh_name, wanted.size() + 1) != wanted) continue;
    const std::size_t size = section.sh_size < kLongestTag ? static_cast<std::size_t>(section.sh_size) : kLongestTag;
    std::string tag = file.text(section.sh_offset, size);
    if (!tag.starts_with(kPrefix)) return fail("its build tag is damaged");
    for (char& c : tag) {
      if (c < ' ' || c > '~') c = '?';
    }
    return tag;
  }
  return fail("not an fffa plugin (it has no build tag)");
}

// "abi=1 arch=x86_64" as pairs.
std::map<std::string, std::string, std::less<>> parts_of(std::string_view tag) {
  std::map<std::string, std::string, std::less<>> parts;
  if (tag.starts_with(kPrefix)) tag.remove_prefix(kPrefix.size());
  while (!tag.empty()) {
    const std::size_t end = std::min(tag.find(' '), tag.size());
    const std::string_view part = tag.substr(0, end);
    const std::size_t equals = std::min(part.find('='), part.size());
    if (!part.empty()) parts.emplace(part.substr(0, equals), part.substr(std::min(equals + 1, part.size())));
    tag.remove_prefix(std::min(end + 1, tag.size()));
  }
  return parts;
}

}  // namespace

std::string_view host_build_tag() noexcept {
  return FFFA_BUILD_TAG;
}

Result<std::string> read_build_tag(const std::filesystem::path& file) {
  // O_NONBLOCK: a pipe would wait for its writer
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return system_error("open");
  const Reader reader(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error("stat");
  if (!S_ISREG(status.st_mode)) return fail("not a regular file");
  return find_tag(reader);
}

Result<void> compare_build_tags(std::string_view plugin, std::string_view host) {
  if (plugin == host) return {};
  const auto theirs = parts_of(plugin);
  const auto ours = parts_of(host);
  std::string built;
  std::string needed;
  const auto add = [](std::string& to, const std::string& key, const std::string& value) {
    to += (to.empty() ? "" : " ") + key + "=" + value;
  };
  for (const auto& [key, value] : ours) {
    const auto their = theirs.find(key);
    if (their != theirs.end() && their->second == value) continue;
    add(built, key, their != theirs.end() ? their->second : "(none)");
    add(needed, key, value);
  }
  for (const auto& [key, value] : theirs) {
    if (ours.contains(key)) continue;
    add(built, key, value);
    add(needed, key, "(none)");
  }
  if (built.empty()) built = std::string(plugin), needed = std::string(host);  // the same parts in another order
  return fail("built with " + built + ", this fffa with " + needed + "; build the plugin against this fffa's SDK");
}

}  // namespace fffa::core
