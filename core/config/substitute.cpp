// SPDX-License-Identifier: MIT
#include "config/substitute.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "config/text_file.h"
#include "config/yaml.h"

namespace fffa::core {
namespace {

constexpr std::size_t kFileLimit = std::size_t{64} << 10;
constexpr std::size_t kTotalLimit = std::size_t{16} << 20;

bool is_variable_name(std::string_view name) {
  const auto good = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), good);
}

class Substitution {
 public:
  Substitution(const Environment& environment, Diagnostics& diagnostics)
      : environment_(environment), diagnostics_(diagnostics) {}

  bool ok() const { return ok_; }

  void visit(ConfigNode& node, const std::string& path) {
    if (node.kind == ConfigNode::Kind::scalar) replace(node, path);
    for (std::size_t i = 0; i < node.items.size(); ++i) visit(node.items[i], path + "[" + std::to_string(i) + "]");
    for (auto& entry : node.entries) visit(entry.value, join_path(path, entry.key));
  }

 private:
  const Environment& environment_;
  Diagnostics& diagnostics_;
  std::size_t total_ = 0;
  bool ok_ = true;

  void error(const ConfigNode& node, const std::string& path, std::string message, std::string hint) {
    diagnostics_.add({node.at, path, std::move(message), std::move(hint)});
    ok_ = false;
  }

  // Appends what `${name}` stands for. False: an error was reported.
  bool expand(ConfigNode& node, const std::string& path, std::string_view name, std::string& out) {
    if (name.starts_with("file:")) {
      auto text = environment_.file(std::string(name.substr(5)));
      if (!text) return error(node, path, text.error().message, ""), false;
      out += *text;
      node.secret = true;
      return true;
    }
    const std::size_t dash = name.find(":-");
    const std::string variable(name.substr(0, dash));
    if (!is_variable_name(variable)) {
      error(node, path, "`${" + std::string(name.substr(0, 40)) + "}` is no substitution",
            "variables are of capitals, digits and `_`; write $$ for a dollar");
      return false;
    }
    const auto value = environment_.variable(variable);
    if (value && (!value->empty() || dash == std::string_view::npos)) {
      out += *value;
      node.secret = true;
    } else if (dash != std::string_view::npos) {
      out += name.substr(dash + 2);
    } else {
      error(node, path, "the environment variable `" + variable + "` is not set",
            "${" + variable + ":-...} gives it a default");
      return false;
    }
    return true;
  }

  void replace(ConfigNode& node, const std::string& path) {
    const std::string_view text = node.value;
    if (text.find('$') == std::string_view::npos) return;
    std::string out;
    bool good = true;
    bool named = false;
    bool has_default = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::string_view rest = text.substr(i);
      if (rest.starts_with("$$")) {
        out += '$';
        ++i;
      } else if (const auto name = braced(rest)) {
        good = expand(node, path, *name, out) && good;
        named = true;
        has_default = has_default || gives_default(*name);
        i += name->size() + 2;
      } else {
        out += text[i];
      }
    }
    total_ += out.size();
    if (total_ > kTotalLimit) return error(node, path, "more than 16 MiB of substituted text", "");
    if (!good) return;
    node.verbatim = node.verbatim && node.value == out;
    node.value = std::move(out);
    node.literal = !named || has_default;
  }

  // Whether the variable is set or not: what a configuration may hold does not depend on where it is read.
  static bool gives_default(std::string_view name) {
    const std::size_t dash = name.find(":-");
    return !name.starts_with("file:") && dash != std::string_view::npos && dash + 2 < name.size();
  }

  // What stands between the braces, if `text` begins with something that is to be substituted.
  static std::optional<std::string_view> braced(std::string_view text) {
    const std::size_t end = text.find('}');
    if (!text.starts_with("${") || end == std::string_view::npos) return std::nullopt;
    const std::string_view name = text.substr(2, end - 2);
    const bool ours =
        name.starts_with("file:") || (!name.empty() && ((name[0] >= 'A' && name[0] <= 'Z') || name[0] == '_'));
    return ours ? std::optional(name) : std::nullopt;
  }
};

Result<std::string> read_secret_file(const std::string& path) {
  auto text = read_regular_file(path, kFileLimit);
  if (!text) return text;
  if (text->find('\0') != std::string::npos) return fail("read " + path + ": not a text file");
  if (text->ends_with('\n')) text->pop_back();
  if (text->ends_with('\r')) text->pop_back();
  return text;
}

}  // namespace

Environment process_environment() {
  return {[](const std::string& name) -> std::optional<std::string> {
            const char* value = std::getenv(name.c_str());
            return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
          },
          read_secret_file};
}

bool substitute(ConfigNode& root, const Environment& environment, Diagnostics& diagnostics) {
  Substitution substitution(environment, diagnostics);
  substitution.visit(root, "");
  return substitution.ok();
}

}  // namespace fffa::core
