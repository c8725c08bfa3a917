// SPDX-License-Identifier: MIT
// Records and batches to feed stages with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fffa/batch.h"
#include "fffa/testing/context.h"

namespace fffa::testing {

// TCP, UDP and ICMP over IPv4 and IPv6, by turns; numbers 64 apart are of the same flow. Counts packets and bytes in
// proportion to `number`.
FlowRecord sample_record(TestContext& context, std::uint32_t number, TimeNs first_seen, TimeNs last_seen);

// A batch as a source makes it: records between `watermark` - 1 s and `watermark`, the interface's account with them.
Batch sample_batch(TestContext& context, std::size_t records, TimeNs watermark);

// A stream that ends: batches one second apart, some of them empty, some with a record that comes two hours late, the
// last with kEndOfInput.
std::vector<Batch> sample_stream(TestContext& context, std::size_t batches, std::size_t records_each);

}  // namespace fffa::testing
