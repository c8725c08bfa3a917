// SPDX-License-Identifier: MIT
#include "geneve.h"

#include <charconv>
#include <optional>
#include <string>

namespace fffa::geneve {
namespace {

constexpr std::uint64_t kMaxVni = (1U << 24) - 1;
constexpr std::size_t kHexDigits = 16;
constexpr std::string_view kEndpointPrefix = "vpce-0";

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_vni(std::string_view text) {
  const auto value = number(text, 10);
  return value && *value <= kMaxVni ? value : std::nullopt;
}

std::optional<std::uint64_t> parse_attachment(std::string_view text) {
  return text.size() == kHexDigits ? number(text, 16) : std::nullopt;
}

std::optional<std::uint64_t> parse_endpoint(std::string_view text) {
  return text.starts_with(kEndpointPrefix) ? parse_attachment(text.substr(kEndpointPrefix.size())) : std::nullopt;
}

// One kind of id: where its names and label stand, how it is written.
struct Kind {
  Names NameTables::*names;
  std::string LabelNames::*label;
  std::string_view option;
  std::optional<std::uint64_t> (*parse)(std::string_view);
  std::string_view form;
};
constexpr Kind kVni = {&NameTables::vni, &LabelNames::vni, "vni", parse_vni, "a number from 0 to 16777215"};
constexpr Kind kEndpoint = {&NameTables::gwlb_endpoint, &LabelNames::gwlb_endpoint, "gwlb_endpoint", parse_endpoint,
                            "`vpce-0` and 16 hex digits, as records print it"};
constexpr Kind kAttachment = {&NameTables::gwlb_attachment, &LabelNames::gwlb_attachment, "gwlb_attachment",
                              parse_attachment, "16 hex digits, as records print it"};

void check_names(const Kind& kind, const Names& names, Checker& checker) {
  std::map<std::uint64_t, std::string_view> seen;
  for (const auto& [id, name] : names) {
    const std::string at = "names." + std::string(kind.option) + "." + id;
    const auto value = kind.parse(id);
    if (!value) {
      checker.error(at, "`" + id + "` must be " + std::string(kind.form));
      continue;
    }
    const auto [first, is_new] = seen.emplace(*value, id);
    if (!is_new) checker.error(at, "`" + id + "` and `" + std::string(first->second) + "` are the same id");
    if (name.empty()) checker.error(at, "`" + id + "` has an empty name");
  }
}

void forget_tunnel(FlowRecord& record) noexcept {
  constexpr auto kIds = static_cast<std::uint32_t>(Has::gwlb_endpoint) |
                        static_cast<std::uint32_t>(Has::gwlb_attachment) | static_cast<std::uint32_t>(Has::gwlb_cookie);
  record.encapsulation = Encapsulation::none;
  record.outer = {};
  record.vni = 0;
  record.outer_bytes = 0;
  record.present &= ~kIds;
  record.gwlb_endpoint_id = 0;
  record.gwlb_attachment_id = 0;
  record.gwlb_flow_cookie = 0;
}

}  // namespace

Geneve::Geneve(const Config& config, StageContext& context) : view_(config.view), tunnel_(config.tunnel) {
  TextTable& texts = context.texts();
  const auto fill = [&](const Kind& kind, Table& table) {
    const auto& names = config.names.*kind.names;
    if (names.empty()) return;
    table.label = texts.intern(config.labels.*kind.label);
    for (const auto& [id, name] : names) {
      if (const auto value = kind.parse(id)) table.names.emplace(*value, texts.intern(name));
    }
  };
  fill(kVni, vni_);
  fill(kEndpoint, gwlb_endpoint_);
  fill(kAttachment, gwlb_attachment_);
}

void Geneve::check(const Config& config, Checker& checker) {
  const Kind* const kinds[] = {&kVni, &kEndpoint, &kAttachment};
  std::map<std::string_view, std::string_view> used;  // label, by which kind
  for (const Kind* kind : kinds) {
    check_names(*kind, config.names.*kind->names, checker);
    if ((config.names.*kind->names).empty()) continue;
    const auto [first, is_new] = used.emplace(config.labels.*kind->label, kind->option);
    if (!is_new) {
      checker.error("labels." + std::string(kind->option),
                    "`" + config.labels.*kind->label + "` is the label of " + std::string(first->second) + " already");
    }
  }
}

void Geneve::Table::name(std::uint64_t id, FlowRecord& record) const noexcept {
  if (names.empty()) return;
  const auto found = names.find(id);
  if (found != names.end()) record.set_label(label, found->second);
}

void Geneve::name(FlowRecord& record) const noexcept {
  vni_.name(record.vni, record);
  if (record.has(Has::gwlb_endpoint)) gwlb_endpoint_.name(record.gwlb_endpoint_id, record);
  if (record.has(Has::gwlb_attachment)) gwlb_attachment_.name(record.gwlb_attachment_id, record);
}

Result<void> Geneve::enrich(Batch& batch) {
  for (auto& record : batch.records) {
    if (record.encapsulation != Encapsulation::geneve) continue;
    name(record);
    if (tunnel_ == Tunnel::forget) {
      forget_tunnel(record);
    } else if (view_ == View::inner) {
      record.outer = {};
    }
  }
  return {};
}

}  // namespace fffa::geneve
