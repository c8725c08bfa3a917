/* SPDX-License-Identifier: GPL-2.0 */
/* Maps, switches and counters of the flow programs, and the hooks through which table.h reaches them. */
#ifndef FFFA_PROGRAMS_FLOW_MAPS_H
#define FFFA_PROGRAMS_FLOW_MAPS_H

#include "kernel.h"

extern __u64 always_zero;
#define FFFA_REPEAT(times, function, context) bpf_loop(times, function, context, 0)
/* Not |=, after which kernel 6.1 takes the upper half of a 32-bit number for unknown too. */
#define FFFA_FORGET(x) ((x) += (__typeof__(x))always_zero)

#include <fffa_bpf/types.h>

/* ---- set before load ---- */
const volatile __u32 table_entries = 65536; /* what `flows` is sized to */
const volatile __u32 bucket_mask = 16383;   /* fffa_bucket_count(table_entries) - 1; `buckets` has one more */
const volatile __u32 hash_seed[12] = {0x9e3779b9, 0x7f4a7c15, 0xf39cc060, 0x5ced50c8, 0x1b873593, 0xcc9e2d51,
				      0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f, 0x165667b1, 0xd3a2646c, 0xfd7046c5};
const volatile __u32 open_tunnels = FFFA_OPEN_GENEVE; /* enum fffa_tunnels */
/* The ring buffer is told when a connection ends, once so many entries have been in use; ~0: never. */
const volatile __u32 tell_ends_from = 0;
const volatile __u8 with_verdicts = 0; /* netfilter is watched: `verdict_table` is as long as `flows` */
const volatile __u8 manual_clock = 0;  /* time is manual_now_ns: for tests that compare */

/* ---- shared with user space while running ---- */
__u64 manual_now_ns;
struct fffa_drain_request drain_request;
struct fffa_drain_result drain_result;
__u32 drain_list[FFFA_DRAIN_CHUNK];
/* Whose counters stand at each place: an ifindex, 0: nobody's. Claimed here, freed by user space when the interface is
 * gone. */
__u32 interface_at[FFFA_INTERFACES];

#include <fffa_bpf/fragment.h>
#include <fffa_bpf/table.h>

struct fffa_table_state table_state __attribute__((aligned(64)));
__u64 always_zero = 0;         /* though neither compiler nor verifier knows */
struct fffa_event *event_type; /* never set: it brings the type into the object's BTF */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct fffa_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct fffa_bucket);
} buckets SEC(".maps");

/* Sized as `flows` where tunnels are opened, else to 1. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct fffa_tunnel);
} tunnels SEC(".maps");

/* Sized as `flows` where netfilter is watched. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fffa_verdicts);
} verdict_table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FFFA_FRAGMENTS);
	__type(key, __u32);
	__type(value, struct fffa_fragment);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Where a run of the read-out program leaves its records; user space maps it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FFFA_DRAIN_CHUNK);
	__type(key, __u32);
	__type(value, struct fffa_drain_record);
} drain_records SEC(".maps");

/* At the place that interface_at gives; the one behind the last counts all that found no place. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FFFA_INTERFACES + 1);
	__type(key, __u32);
	__type(value, struct fffa_interface_counters);
} interface_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FFFA_REASONS);
	__type(key, __u32);
	__type(value, struct fffa_reason_counters);
} reason_counters SEC(".maps");

/* ---- hooks of table.h ---- */
#define FFFA_TABLE ((struct fffa_table *)0)

FFFA_INLINE struct fffa_flow *fffa_table_flow(struct fffa_table *t, __u32 index)
{
	(void)t;
	return bpf_map_lookup_elem(&flows, &index);
}
FFFA_INLINE struct fffa_bucket *fffa_table_bucket(struct fffa_table *t, __u32 index)
{
	(void)t;
	return bpf_map_lookup_elem(&buckets, &index);
}
FFFA_INLINE void fffa_begin_side(struct fffa_table *t, __u32 index)
{
	(void)t;
	struct fffa_verdicts *verdicts = with_verdicts ? bpf_map_lookup_elem(&verdict_table, &index) : 0;
	if (verdicts) __builtin_memset(verdicts, 0, sizeof *verdicts);
}
FFFA_INLINE struct fffa_table_state *fffa_state_of(struct fffa_table *t)
{
	(void)t;
	return &table_state;
}
FFFA_INLINE __u32 fffa_table_entries(struct fffa_table *t)
{
	(void)t;
	return table_entries;
}
FFFA_INLINE __u32 fffa_table_bucket_mask(struct fffa_table *t)
{
	(void)t;
	return bucket_mask;
}
FFFA_INLINE __u32 fffa_table_seed(struct fffa_table *t, int i)
{
	(void)t;
	return hash_seed[i];
}

/* ---- hooks of fragment.h ---- */
#define FFFA_FRAGMENT_TABLE ((struct fffa_fragments *)0)

FFFA_INLINE struct fffa_fragment *fffa_fragment_at(struct fffa_fragments *t, __u32 index)
{
	(void)t;
	return bpf_map_lookup_elem(&fragments, &index);
}
FFFA_INLINE __u32 fffa_fragment_seed(struct fffa_fragments *t, int i)
{
	(void)t;
	return hash_seed[i];
}

#endif
