// SPDX-License-Identifier: MIT
#include "metadata.h"

#include <arpa/inet.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fffa::imds {
namespace {

constexpr std::size_t kMaxValue = 64;  // characters; ids have up to 30
constexpr std::size_t kMaxEnis = 256;
constexpr std::size_t kMacLength = 17;

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool hex(char c) {
  return digit(c) || (c >= 'a' && c <= 'f');
}

template <typename Allowed>
bool made_of(std::string_view text, Allowed allowed) {
  return !text.empty() && text.size() <= kMaxValue && std::all_of(text.begin(), text.end(), allowed);
}
bool is_account(std::string_view text) {
  return made_of(text, digit);
}
// "us-east-1", "us-east-1a", "use1-az4", "us-west-2-lax-1a"
bool is_place(std::string_view text) {
  return made_of(text, [](char c) { return digit(c) || lower(c) || c == '-'; });
}
// "eni-0f95d3625f5c521cc" for the prefix "eni-"
bool is_id(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) && made_of(text.substr(prefix.size()), hex);
}
bool is_mac(std::string_view text) {
  if (text.size() != kMacLength) return false;
  for (std::size_t i = 0; i < kMacLength; ++i) {
    if (i % 3 == 2 ? text[i] != ':' : !hex(text[i])) return false;
  }
  return true;
}
bool is_instance(std::string_view text) {
  return is_id(text, "i-");
}
bool is_eni(std::string_view text) {
  return is_id(text, "eni-");
}
bool is_vpc(std::string_view text) {
  return is_id(text, "vpc-");
}
bool is_subnet(std::string_view text) {
  return is_id(text, "subnet-");
}

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  return text.ends_with('\r') ? text.substr(0, text.size() - 1) : text;
}

Address address(int family, std::string_view text) {
  Address parsed{};
  if (text.size() > kMaxValue || inet_pton(family, std::string(text).c_str(), parsed.data()) != 1) return {};
  return parsed;
}

// Asks for items until one fails; from then on everything is empty.
class Reader {
 public:
  explicit Reader(Client& client) : client_(client) {}

  std::string body(const std::string& path) {
    if (failed()) return {};
    Reply reply = client_.get("/latest/" + path);
    if (reply.kind == Reply::Kind::ok) return std::move(reply.text);
    if (reply.kind != Reply::Kind::absent) {
      kind_ = reply.kind;
      error_ = std::move(reply.text);
    }
    return {};
  }
  // The item's first line, or nothing if it does not look right.
  std::string item(const std::string& path, bool (*valid)(std::string_view)) {
    const std::string text = body("meta-data/" + path);
    const std::string_view line = first_line(text);
    return valid(line) ? std::string(line) : std::string();
  }
  bool failed() const { return kind_ != Reply::Kind::ok; }
  void fail(std::string error) {
    kind_ = Reply::Kind::unreachable;
    error_ = std::move(error);
  }
  Reply::Kind kind() const { return kind_; }
  const std::string& error() const { return error_; }

 private:
  Client& client_;
  Reply::Kind kind_ = Reply::Kind::ok;
  std::string error_;
};

std::string string_in(const nlohmann::json& document, const char* key, bool (*valid)(std::string_view)) {
  const auto found = document.find(key);
  if (found == document.end() || !found->is_string()) return {};
  const auto& text = found->get_ref<const std::string&>();
  return valid(text) ? text : std::string();
}

// Fills what is empty. Older instances have no items of placement/.
void from_identity_document(const std::string& text, Instance& instance) {
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return;
  const auto fill = [&](std::string& value, const char* key, bool (*valid)(std::string_view)) {
    if (value.empty()) value = string_in(document, key, valid);
  };
  fill(instance.account, "accountId", is_account);
  fill(instance.id, "instanceId", is_instance);
  fill(instance.region, "region", is_place);
  fill(instance.az, "availabilityZone", is_place);
}

Eni read_eni(Reader& reader, std::string_view mac) {
  Eni eni;
  eni.mac = mac;
  const std::string base = "network/interfaces/macs/" + eni.mac + "/";
  eni.id = reader.item(base + "interface-id", is_eni);
  if (eni.id.empty()) return eni;  // detached meanwhile
  eni.account = reader.item(base + "owner-id", is_account);
  eni.vpc = reader.item(base + "vpc-id", is_vpc);
  eni.subnet = reader.item(base + "subnet-id", is_subnet);
  eni.primary_ipv4 = address(AF_INET, first_line(reader.body("meta-data/" + base + "local-ipv4s")));
  eni.primary_ipv6 = address(AF_INET6, first_line(reader.body("meta-data/" + base + "ipv6s")));
  return eni;
}

std::vector<Eni> read_enis(Reader& reader) {
  const std::string listing = reader.body("meta-data/network/interfaces/macs/");
  std::vector<Eni> enis;
  for (std::string_view rest = listing; !rest.empty() && enis.size() < kMaxEnis && !reader.failed();) {
    std::string_view line = first_line(rest);
    rest.remove_prefix(
        std::min(rest.size(), rest.find('\n') == std::string_view::npos ? rest.size() : rest.find('\n') + 1));
    if (line.ends_with('/')) line.remove_suffix(1);
    if (!is_mac(line)) continue;
    Eni eni = read_eni(reader, line);
    if (!eni.id.empty()) enis.push_back(std::move(eni));
  }
  return enis;
}

}  // namespace

Fetched fetch(Client& client) {
  Reader reader(client);
  Fetched fetched;
  Instance& instance = fetched.instance;
  instance.id = reader.item("instance-id", is_instance);
  instance.region = reader.item("placement/region", is_place);
  instance.az = reader.item("placement/availability-zone", is_place);
  instance.az_id = reader.item("placement/availability-zone-id", is_place);
  from_identity_document(reader.body("dynamic/instance-identity/document"), instance);
  instance.enis = read_enis(reader);
  if (!reader.failed() && instance.id.empty()) {
    reader.fail(client.endpoint() + " answers, but names no instance: not the metadata service?");
  }
  fetched.kind = reader.kind();
  fetched.error = reader.error();
  return fetched;
}

}  // namespace fffa::imds
