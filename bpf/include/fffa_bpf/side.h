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

/* What netfilter, or whoever else freed a packet, made of it. */
enum fffa_verdict { FFFA_NO_VERDICT = 0, FFFA_ACCEPT = 1, FFFA_DROP = 2, FFFA_REJECT = 3, FFFA_QUEUE = 4 };

/* enum nf_inet_hooks, plus one. */
enum fffa_hook {
	FFFA_NO_HOOK = 0,
	FFFA_PRE_ROUTING = 1,
	FFFA_LOCAL_IN = 2,
	FFFA_FORWARD = 3,
	FFFA_LOCAL_OUT = 4,
	FFFA_POST_ROUTING = 5,
};

/* Netfilter's verdicts on one direction of a flow, and what the kernel freed of it. Packets are those on the wire.
 * Every count is an atomic that the read-out swaps out, never under the flow's lock: these programs can interrupt its
 * holder. */
struct fffa_verdict_side {
	__u64 refused_bytes; /* of the drops and rejects */
	__u64 refused_first_ns;
	__u64 refused_last_ns;
	__u32 accepts;
	__u32 drops;   /* by netfilter */
	__u32 rejects; /* likewise, where this host sent an answer meanwhile: see fffa_count_refusal */
	__u32 queues;
	__u32 freed;         /* packets that the kernel dropped, for whatever reason */
	__u32 freed_reason;  /* enum skb_drop_reason of the last one */
	__u16 refused_flags; /* as fffa_slot.flags */
	__u16 last;          /* the most recent enum fffa_verdict | enum fffa_hook << 8: where it happened */
	__u32 answers;       /* bit set of enum fffa_hook: where a refused packet of this flow was answered */
	__u32 came_in;       /* of an egress flow: ifindex by which its packets came in, 0: sent by this host */
	__u32 looked;        /* side[0]: read-outs that found an entry without packets and verdicts */
};
FFFA_SIZE(fffa_verdict_side, 64);
FFFA_AT(fffa_verdict_side, refused_bytes, 0);
FFFA_AT(fffa_verdict_side, refused_first_ns, 8);
FFFA_AT(fffa_verdict_side, refused_last_ns, 16);
FFFA_AT(fffa_verdict_side, accepts, 24);
FFFA_AT(fffa_verdict_side, drops, 28);
FFFA_AT(fffa_verdict_side, rejects, 32);
FFFA_AT(fffa_verdict_side, queues, 36);
FFFA_AT(fffa_verdict_side, freed, 40);
FFFA_AT(fffa_verdict_side, freed_reason, 44);
FFFA_AT(fffa_verdict_side, refused_flags, 48);
FFFA_AT(fffa_verdict_side, last, 50);
FFFA_AT(fffa_verdict_side, answers, 52);
FFFA_AT(fffa_verdict_side, came_in, 56);
FFFA_AT(fffa_verdict_side, looked, 60);

/* The other tuple of a translated flow, as source and destination: of an ingress flow what its packets became, of an
 * egress flow what they were when they entered this host (or were sent). */
struct fffa_translation {
	union fffa_addr src;
	union fffa_addr dst;
	__u16 src_port;
	__u16 dst_port;
	__u32 ifindex; /* where they came in, 0: sent by this host; of an ingress flow: where they left, 0: nowhere */
	__u32 state;   /* enum fffa_translation_state */
	__u32 reserved;
};
enum fffa_translation_state { FFFA_NOT_TRANSLATED = 0, FFFA_TRANSLATION_HELD = 1, FFFA_TRANSLATED = 2 };
FFFA_SIZE(fffa_translation, 48);
FFFA_AT(fffa_translation, src, 0);
FFFA_AT(fffa_translation, dst, 16);
FFFA_AT(fffa_translation, src_port, 32);
FFFA_AT(fffa_translation, dst_port, 34);
FFFA_AT(fffa_translation, ifindex, 36);
FFFA_AT(fffa_translation, state, 40);
FFFA_AT(fffa_translation, reserved, 44);

struct fffa_verdicts {
	struct fffa_verdict_side side[2]; /* by enum fffa_direction */
	struct fffa_translation translation[2];
};
FFFA_SIZE(fffa_verdicts, 224);
FFFA_AT(fffa_verdicts, side, 0);
FFFA_AT(fffa_verdicts, translation, 128);

#endif
