// SPDX-License-Identifier: MIT
// Source pcap, run over a capture file, and records as text.
#pragma once

#include <fffa/testing/harness.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/fields.h"
#include "fffa/record.h"

namespace fffa::parity {

// The corpus, in the order of names.
std::vector<std::filesystem::path> captures();
// Of gtest's parameters: letters, digits and underscores.
std::string test_name(const std::filesystem::path& capture);

// What one run has given.
struct SourceRun {
  std::unique_ptr<testing::Harness> harness;  // owns the texts
  std::vector<FlowRecord> records;
  Volume seen, filtered;

  // Packets that were filtered or noted for `reason`.
  std::uint64_t reason(std::string_view name) const;
};
// Throws what the source fails with.
SourceRun run_source(const std::filesystem::path& capture, const std::string& options = {});

std::string show(const Value& value);
// Every field of the field table that is there, one `name=value` each, and the sums that means are made of.
std::string show(const FlowRecord& record);

}  // namespace fffa::parity
