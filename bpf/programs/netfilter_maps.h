/* SPDX-License-Identifier: GPL-2.0 */
/* What the netfilter programs share: notes on packets between two hooks, and room to parse in. */
#ifndef FFFA_PROGRAMS_NETFILTER_MAPS_H
#define FFFA_PROGRAMS_NETFILTER_MAPS_H

#include "flow_maps.h"

/* ---- set before load ---- */
const volatile __u32 our_netns = 0; /* inode of the network namespace that is monitored */

/* ---- written by user space while running ---- */
struct fffa_monitored monitored[FFFA_INTERFACES];
__u32 count_hooks; /* fill hook_counters */
/* enum fffa_noting. With notes packets can be followed through queues, and whatever translates them. Without, what a
 * refused packet was and where it was is told by its route and by conntrack. */
__u32 take_notes;

/* Verdicts that belong to no flow, by enum fffa_unattributed. */
__u64 unattributed[FFFA_UNATTRIBUTED];

/* How far a packet is. A word of the note's set, in the low bits of its packet's address. */
enum fffa_stage { FFFA_IN_HOOK = 0, FFFA_BETWEEN_HOOKS = 1, FFFA_BROUGHT_BACK = 2, FFFA_STAGE_MASK = 7 };

/* Older than this many jiffies: a queue holds no packet for so long. */
enum { FFFA_NOTE_STALE = 30000 };
enum { FFFA_NOTE_SETS = 1024, FFFA_NOTE_WAYS = 8 };

/* What is known of one packet while it is on its way through the hooks. Only who has the packet touches its note. */
struct fffa_note {
	struct fffa_flow_key key; /* as it came in or was sent: ingress or egress, see `local` */
	__u64 state;              /* which traversal of the hook it is in */
	__u64 netns;
	__u32 packets;
	__u32 bytes;
	__u32 jiffies;
	__u32 out; /* under whose flows it leaves; 0: not known, or not monitored */
	__u16 flags;
	__u8 hook;   /* enum fffa_hook */
	__u8 local;  /* sent by this host: `key` is that of an egress flow */
	__u8 queued; /* hooks where it was queued: a bit set, of those not counted yet */
	__u8 answered;
	__u8 known; /* key, packets, bytes and flags are set */
	__u8 super; /* stands for several packets on the wire */
};

struct fffa_note_set {
	__u64 packet[FFFA_NOTE_WAYS]; /* address of the packet, and in its low bits enum fffa_stage; 0: free */
} __attribute__((aligned(64)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FFFA_NOTE_SETS);
	__type(key, __u32);
	__type(value, struct fffa_note_set);
} note_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FFFA_NOTE_SETS *FFFA_NOTE_WAYS);
	__type(key, __u32);
	__type(value, struct fffa_note);
} notes SEC(".maps");

/* The note of the packet that a CPU is busy with: index plus one. */
__u32 busy_with[FFFA_CPUS];

/* Room for the packets that are parsed step by step: as long as the verifier thinks they could be (FFFA_OFFSET_MASK).
 */
enum { FFFA_SCRATCHES = 16, FFFA_SCRATCH_BYTES = 512, FFFA_SCRATCH_TRIES = 4 };
struct fffa_scratch {
	__u32 held;
	__u32 captured;
	__u32 length;
	__u32 segments;
	__u32 ifindex;
	__u32 reserved;
	struct fffa_packet packet;
	__u8 data[2 * (FFFA_OFFSET_MASK + 1) + FFFA_SCRATCH_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FFFA_SCRATCHES);
	__type(key, __u32);
	__type(value, struct fffa_scratch);
} scratches SEC(".maps");

/* Per hook (enum fffa_hook), while count_hooks is set. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FFFA_HOOKS);
	__type(key, __u32);
	__type(value, struct fffa_hook_counters);
} hook_counters SEC(".maps");

#endif
