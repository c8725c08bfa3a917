/* SPDX-License-Identifier: GPL-2.0 */
/* What becomes of a parsed packet: into the table, else into the ring buffer, else lost; and the counters that add it
 * all up. */
#ifndef FFFA_PROGRAMS_FLOW_COUNT_H
#define FFFA_PROGRAMS_FLOW_COUNT_H

#include "flow_maps.h"

#include <fffa_bpf/drain.h>
#include <fffa_bpf/parse.h>

#define FFFA_RETRIES 3

FFFA_INLINE __u64 fffa_now(void) { return manual_clock ? manual_now_ns : bpf_ktime_get_ns(); }

FFFA_INLINE void fffa_add(struct fffa_count *count, __u32 packets, __u32 bytes)
{
	count->packets += packets;
	count->bytes += bytes;
}

/* ---- global functions: verified once, by themselves ---- */

/* The place of an interface's counters; FFFA_INTERFACES if there is none left. */
__attribute__((noinline)) __u32 fffa_claim_interface(__u32 ifindex)
{
	for (__u32 i = 0; i < 16; i++) {
		const __u32 place = (ifindex + i) % FFFA_INTERFACES;
		__u32 owner = interface_at[place];
		if (!owner) owner = __sync_val_compare_and_swap(&interface_at[place], 0, ifindex);
		if (!owner || owner == ifindex) return place;
	}
	return FFFA_INTERFACES;
}

FFFA_INLINE struct fffa_interface_counters *fffa_counters_of(__u32 ifindex)
{
	__u32 place = ifindex % FFFA_INTERFACES;
	if (fffa_unlikely(interface_at[place] != ifindex)) place = fffa_claim_interface(ifindex);
	return bpf_map_lookup_elem(&interface_counters, &place);
}

__attribute__((noinline)) int fffa_count_reason(__u32 reason, __u32 packets, __u32 bytes, int direction)
{
	struct fffa_reason_counters *counters = bpf_map_lookup_elem(&reason_counters, &reason);
	if (counters) fffa_add(&counters->side[direction & 1], packets, bytes);
	return 0;
}

/* A packet of which no flow can be named. */
__attribute__((noinline)) int fffa_count_filtered(__u32 ifindex, __u32 reason, __u32 packets, __u32 length,
						  int direction)
{
	const __u32 bytes = length > 14 ? length - 14 : 0;
	struct fffa_interface_counters *counters = fffa_counters_of(ifindex);
	if (counters) {
		fffa_add(&counters->seen[direction & 1], packets, bytes);
		fffa_add(&counters->filtered[direction & 1], packets, bytes);
	}
	fffa_count_reason(reason, packets, bytes, direction);
	return 0;
}

/* Finds or makes the packet's flow: its index, or minus an enum fffa_reason. */
__attribute__((noinline)) int fffa_slow_insert(struct fffa_packet *p)
{
	if (!p) return -FFFA_TABLE_FULL;
	return fffa_table_insert(FFFA_TABLE, &p->key, p->direction);
}

/* Sends a packet that has no place in the table as a record of its own. Returns `reason`, or FFFA_RING_FULL. */
__attribute__((noinline)) int fffa_divert(struct fffa_packet *p, __u32 reason, __u32 shift)
{
	if (!p) return FFFA_RING_FULL;
	struct fffa_event *event = bpf_ringbuf_reserve(&events, sizeof *event, 0);
	if (!event) return FFFA_RING_FULL;
	__builtin_memset(event, 0, sizeof *event);
	event->type = FFFA_EVENT_PACKET;
	event->direction = p->direction;
	event->reason = (__u8)reason;
	event->vlan = p->vlan;
	event->key = p->key;
	event->time_ns = p->time_ns;
	event->packets = p->packets;
	event->bytes = p->bytes;
	event->outer_bytes = p->outer_bytes;
	event->flags = (__u16)(p->ecn << FFFA_SLOT_ECN_SHIFT);
	if (p->tcp) {
		event->flags |= p->flags;
		if ((p->flags & (FFFA_SYN | FFFA_ACK)) == (FFFA_SYN | FFFA_ACK)) event->flags |= FFFA_SLOT_SYN_ACK;
		if (!(p->flags & FFFA_RST)) event->flags |= FFFA_SLOT_WINDOW;
		event->window = p->flags & FFFA_SYN ? p->window : (__u32)p->window << (shift & 15);
	}
	if (p->key.encap) event->outer = p->outer;
	bpf_ringbuf_submit(event, 0);
	return (int)reason;
}

/* Tells user space that a connection has ended. If the ring has no room, nothing is lost: the read-out sees it too. */
__attribute__((noinline)) int fffa_tell_end(struct fffa_packet *p, __u32 index)
{
	if (!p) return 0;
	struct fffa_event *event = bpf_ringbuf_reserve(&events, sizeof *event, 0);
	if (!event) return 0;
	__builtin_memset(event, 0, sizeof *event);
	event->type = FFFA_EVENT_END;
	event->direction = p->direction;
	event->key = p->key;
	event->time_ns = p->time_ns;
	event->index = index;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 1;
}

/* A packet that was parsed by steps and is a fragment: each is a function because of the stack that it needs. */
#define FFFA_KNOW(which) \
	__attribute__((noinline)) int fffa_know_##which(struct fffa_packet *p) \
	{ \
		if (!p) return 0; \
		p->time_ns = fffa_now(); \
		fffa_follow_##which(FFFA_FRAGMENT_TABLE, p); \
		return 0; \
	}
FFFA_KNOW(outer_fragment)
FFFA_KNOW(first_fragment)
FFFA_KNOW(later_fragment)

/* ---- the way of a packet ---- */

/* Tracks the packet in the flow at `index`. Returns FFFA_OK, FFFA_LOCK_BUSY, or FFFA_TABLE_FULL if that is another flow
 * by now. */
FFFA_INLINE int fffa_track_at(__u32 index, struct fffa_packet *p, __u32 *shift, const int direction)
{
	struct fffa_flow *f = bpf_map_lookup_elem(&flows, &index);
	if (!f) return FFFA_TABLE_FULL;
	if (fffa_unlikely(!fffa_lock(&f->lock))) {
		*shift = FFFA_READ_ONCE(f->half[direction].scale);
		return FFFA_LOCK_BUSY;
	}
	if (fffa_unlikely(!fffa_same_key(&f->key, &p->key))) {
		fffa_unlock(&f->lock);
		return FFFA_TABLE_FULL;
	}
	const int closing = p->tcp && (p->flags & (FFFA_FIN | FFFA_RST)) && !fffa_has_ended(f);
	fffa_track(f, p, direction);
	if (fffa_unlikely(p->key.encap)) {
		struct fffa_tunnel *tunnel = bpf_map_lookup_elem(&tunnels, &index);
		if (tunnel) fffa_track_tunnel(tunnel, p, direction);
	}
	const int ended = fffa_unlikely(closing) && fffa_has_ended(f);
	fffa_unlock(&f->lock);
	if (ended && FFFA_READ_ONCE(table_state.next_index) >= tell_ends_from) fffa_tell_end(p, index);
	return FFFA_OK;
}

/* Counts the packet in its flow, or says why that cannot be. */
FFFA_INLINE int fffa_count_in_table(struct fffa_packet *p, __u32 *shift, const int direction)
{
	int reason = FFFA_TABLE_FULL;
	const __u32 place = fffa_table_find(FFFA_TABLE, &p->key);
	int index = (int)place - 1;
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_RETRIES; i++) {
		if (fffa_unlikely(index < 0)) index = fffa_slow_insert(p);
		if (index < 0) return -index;
		reason = fffa_track_at((__u32)index, p, shift, direction);
		if (fffa_likely(reason != FFFA_TABLE_FULL)) return reason;
		index = -1; /* deleted since it was found, or another key with the same tag */
	}
	return reason;
}

FFFA_INLINE void fffa_count_packet(struct fffa_packet *p, const int direction)
{
	__u32 shift = 0;
	fffa_finish_packet(p);
	struct fffa_interface_counters *counters = fffa_counters_of(p->key.ifindex);
	if (counters) fffa_add(&counters->seen[direction], p->packets, p->bytes);
	if (fffa_unlikely(p->note)) fffa_count_reason(p->note, p->packets, p->bytes, direction);
	p->time_ns = fffa_now();
	int reason = fffa_count_in_table(p, &shift, direction);
	if (fffa_likely(!reason)) return;
	reason = fffa_divert(p, (__u32)reason, shift);
	fffa_count_reason((__u32)reason, p->packets, p->bytes, direction);
	counters = fffa_counters_of(p->key.ifindex);
	if (!counters) return;
	if (reason == FFFA_RING_FULL)
		fffa_add(&counters->lost[direction], p->packets, p->bytes);
	else
		fffa_add(&counters->diverted[direction], p->packets, p->bytes);
}

#endif
