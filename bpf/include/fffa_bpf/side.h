/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Side arrays, under the same index as the flow: what only some flows need. */
#ifndef FFFA_BPF_SIDE_H
#define FFFA_BPF_SIDE_H

#include "key.h"

enum fffa_gwlb_ids { FFFA_GWLB_ENDPOINT = 1, FFFA_GWLB_ATTACHMENT = 2, FFFA_GWLB_COOKIE = 4 };

/* The outermost packet around an encapsulated one, and what its options said. Source and destination as on the wire. */
struct fffa_outer {
	union fffa_addr src;
	union fffa_addr dst;
	__u16 src_port;
	__u16 dst_port;
	__u8 family;
	__u8 gwlb; /* enum fffa_gwlb_ids: which of the three below were present */
	__u16 reserved;
	__u32 gwlb_cookie;
	__u32 vni; /* of the outermost tunnel */
	__u64 gwlb_endpoint;
	__u64 gwlb_attachment;
};
FFFA_SIZE(fffa_outer, 64);
FFFA_AT(fffa_outer, src, 0);
FFFA_AT(fffa_outer, dst, 16);
FFFA_AT(fffa_outer, src_port, 32);
FFFA_AT(fffa_outer, dst_port, 34);
FFFA_AT(fffa_outer, family, 36);
FFFA_AT(fffa_outer, gwlb, 37);
FFFA_AT(fffa_outer, reserved, 38);
FFFA_AT(fffa_outer, gwlb_cookie, 40);
FFFA_AT(fffa_outer, vni, 44);
FFFA_AT(fffa_outer, gwlb_endpoint, 48);
FFFA_AT(fffa_outer, gwlb_attachment, 56);

/* One direction of an encapsulated flow, under the flow's lock. `outer` is the last packet's; `bytes` are IP-level
 * bytes of the outermost packets since the last read-out. */
struct fffa_tunnel_side {
	struct fffa_outer outer;
	__u64 bytes;
};
FFFA_SIZE(fffa_tunnel_side, 72);
FFFA_AT(fffa_tunnel_side, outer, 0);
FFFA_AT(fffa_tunnel_side, bytes, 64);

struct fffa_tunnel {
	struct fffa_tunnel_side side[2]; /* by enum fffa_direction */
};
FFFA_SIZE(fffa_tunnel, 144);
FFFA_AT(fffa_tunnel, side, 0);

/* Netfilter's verdicts on one direction of a flow. Every count is an atomic that the read-out swaps out, never under
 * the flow's lock: these programs can interrupt its holder. Reserved: no program writes them yet. */
struct fffa_verdict_side {
	__u64 refused_bytes;
	__u64 refused_first_ns;
	__u64 refused_last_ns;
	__u32 refused_packets;
	__u32 accepts;
	__u32 drops;
	__u32 rejects;
	__u32 queues;
	__u32 dropped; /* packets that the kernel freed, for whatever reason */
	__u32 drop_reason;
	__s32 priority;      /* of the deciding chain */
	__u16 refused_flags; /* as fffa_slot.flags */
	__u8 verdict;        /* the most recent one */
	__u8 hook;           /* where it happened */
	__u32 reserved;
};
FFFA_SIZE(fffa_verdict_side, 64);
FFFA_AT(fffa_verdict_side, refused_bytes, 0);
FFFA_AT(fffa_verdict_side, refused_first_ns, 8);
FFFA_AT(fffa_verdict_side, refused_last_ns, 16);
FFFA_AT(fffa_verdict_side, refused_packets, 24);
FFFA_AT(fffa_verdict_side, accepts, 28);
FFFA_AT(fffa_verdict_side, drops, 32);
FFFA_AT(fffa_verdict_side, rejects, 36);
FFFA_AT(fffa_verdict_side, queues, 40);
FFFA_AT(fffa_verdict_side, dropped, 44);
FFFA_AT(fffa_verdict_side, drop_reason, 48);
FFFA_AT(fffa_verdict_side, priority, 52);
FFFA_AT(fffa_verdict_side, refused_flags, 56);
FFFA_AT(fffa_verdict_side, verdict, 58);
FFFA_AT(fffa_verdict_side, hook, 59);
FFFA_AT(fffa_verdict_side, reserved, 60);

struct fffa_verdicts {
	struct fffa_verdict_side side[2]; /* by enum fffa_direction */
};
FFFA_SIZE(fffa_verdicts, 128);
FFFA_AT(fffa_verdicts, side, 0);

#endif
