// SPDX-License-Identifier: MIT
// What the rule that decided one packet of a flow says of the flow's record.
#pragma once

#include "fffa/record.h"
#include "fffa/text.h"
#include "fffa_bpf/types.h"
#include "rules/rule_tracer.h"

namespace fffa::ebpf {

// Drop or reject.
bool refuses(Verdict verdict) noexcept;

// What the first hook saw of a record's flow. `entry` is what the record was made of.
TracedFlow traced_flow(const fffa_drain_record& entry, const FlowRecord& record);

// False: the rule decided otherwise than the flow's last packet was, so that it is not the one; nothing is changed
// then. A rule that queues may be followed by any verdict. One that refuses knows better than the kernel program
// whether that was a drop or a reject, and at which hook.
bool fill_rule(const Rule& rule, TextTable& texts, FlowRecord& record);

}  // namespace fffa::ebpf
