// SPDX-License-Identifier: MIT
#include "overflow.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

namespace fffa::ebpf {
namespace {

// Unknown to whoever chooses the tuples of a flood.
const std::array<std::uint64_t, 7>& seeds() {
  static const auto values = [] {
    std::random_device random;
    std::array<std::uint64_t, 7> made{};
    for (auto& value : made) value = (static_cast<std::uint64_t>(random()) << 32 | random()) | 1;
    return made;
  }();
  return values;
}

// What a packet's flags tell of the connection, as far as one packet can.
void note_state(const fffa_event& event, bool first, fffa_drain_record& record) {
  auto& mine = record.seen[event.direction];
  auto& theirs = record.seen[1 - event.direction];
  const bool syn = (event.flags & 0x02) != 0;
  const bool syn_ack = (event.flags & FFFA_SLOT_SYN_ACK) != 0;
  if ((event.flags & 0x01) != 0) mine |= FFFA_SEEN_FIN;
  if ((event.flags & 0x04) != 0) mine |= FFFA_SEEN_RST;
  if (syn_ack) {
    mine = static_cast<std::uint16_t>((mine | FFFA_SEEN_SYN_ACK) & ~FFFA_SEEN_INITIATOR);
    theirs |= FFFA_SEEN_INITIATOR;
  } else if (syn) {
    mine |= FFFA_SEEN_SYN | FFFA_SEEN_INITIATOR;
    theirs = static_cast<std::uint16_t>(theirs & ~FFFA_SEEN_INITIATOR);
  } else if (first && event.reason == FFFA_TABLE_FULL) {
    mine |= FFFA_SEEN_INITIATOR;
  }
}

}  // namespace

std::size_t FlowKeyHash::operator()(const fffa_flow_key& key) const noexcept {
  std::array<std::uint64_t, sizeof key / 8> words;
  std::memcpy(words.data(), &key, sizeof key);
  std::uint64_t hash = seeds()[6];
  __extension__ using Wide = unsigned __int128;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto product = static_cast<Wide>(words[i] ^ hash) * seeds()[i];
    hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  return hash;
}

bool FlowKeyEqual::operator()(const fffa_flow_key& a, const fffa_flow_key& b) const noexcept {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

void Overflow::reset(Flow& flow) noexcept {
  flow.active = false;
  flow.partial = true;
  for (auto& slot : flow.record.slot) slot = {};
  for (auto& side : flow.record.tunnel.side) side.bytes = 0;
}

namespace {

// Two measurements of one direction, made by turns.
void merge_slots(fffa_slot& into, const fffa_slot& more) {
  if (more.packets == 0) return;
  into.first_ns = into.packets == 0 ? more.first_ns : std::min(into.first_ns, more.first_ns);
  into.packets += more.packets;
  into.bytes += more.bytes;
  into.zero_windows += more.zero_windows;
  if ((more.flags & FFFA_SLOT_WINDOW) != 0) {
    const bool known = (into.flags & FFFA_SLOT_WINDOW) != 0;
    into.window_min = known ? std::min(into.window_min, more.window_min) : more.window_min;
    into.window_max = std::max(into.window_max, more.window_max);
    if (!known) into.window_last = more.window_last;
  }
  into.flags |= more.flags;
}

}  // namespace

void Overflow::fold_into(fffa_drain_record& record) {
  if (pending_ == 0) return;
  const auto found = flows_.find(record.key);
  if (found == flows_.end() || !found->second.active) return;
  const fffa_drain_record& held = found->second.record;
  for (unsigned side = 0; side < 2; ++side) {
    if (held.slot[side].packets != 0) record.last_ns[side] = std::max(record.last_ns[side], held.last_ns[side]);
    merge_slots(record.slot[side], held.slot[side]);
    if (record.key.encap == FFFA_ENCAP_NONE) continue;
    auto& tunnel = record.tunnel.side[side];
    tunnel.bytes += held.tunnel.side[side].bytes;
    if (tunnel.outer.family == 0) tunnel.outer = held.tunnel.side[side].outer;
  }
  flows_.erase(found);
  --pending_;
}

void Overflow::add(const fffa_event& event) {
  if (event.direction > FFFA_EGRESS) return;
  auto [it, first] = flows_.try_emplace(event.key);
  Flow& flow = it->second;
  fffa_drain_record& record = flow.record;
  if (first) {
    record.key = event.key;
    record.window_scale[0] = record.window_scale[1] = FFFA_NO_SCALE;
  }
  if (!flow.active) ++pending_;
  flow.active = true;
  flow.partial = flow.partial && event.reason == FFFA_LOCK_BUSY;
  note_state(event, first, record);

  fffa_slot& slot = record.slot[event.direction];
  auto& last_ns = record.last_ns[event.direction];
  slot.first_ns = slot.packets == 0 ? event.time_ns : std::min<std::uint64_t>(slot.first_ns, event.time_ns);
  last_ns = slot.packets == 0 ? event.time_ns : std::max<std::uint64_t>(last_ns, event.time_ns);
  slot.packets += event.packets;
  slot.bytes += event.bytes;
  slot.vlan = event.vlan;
  if ((event.flags & FFFA_SLOT_WINDOW) != 0) {
    const bool known = (slot.flags & FFFA_SLOT_WINDOW) != 0;
    slot.window_min = known ? std::min(slot.window_min, event.window) : event.window;
    slot.window_max = std::max(slot.window_max, event.window);
    slot.window_last = event.window;
    if (event.window == 0 && (event.flags & 0x04) == 0) ++slot.zero_windows;
  }
  slot.flags |= event.flags;
  if (event.key.encap != FFFA_ENCAP_NONE) {
    record.tunnel.side[event.direction].outer = event.outer;
    record.tunnel.side[event.direction].bytes += event.outer_bytes;
  }
}

}  // namespace fffa::ebpf
