/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* One connection in the table: identity, TCP state of both directions, and one measurement slot a direction that a
 * read-out empties. Times: ns are CLOCK_MONOTONIC; a "tick" is 1024 ns (32 bits, compared modulo 2^32); an "rtt unit"
 * is 8 ns
 * (modulo 2^32 where it is a time). */
#ifndef FFFA_BPF_FLOW_H
#define FFFA_BPF_FLOW_H

#include "key.h"

#define FFFA_TICK_SHIFT 10
#define FFFA_RTT_SHIFT 3
#define FFFA_HOLES 4

/* fffa_slot.flags: the TCP flags of all packets ORed in the low byte, and above it: */
enum fffa_slot_flags {
	FFFA_SLOT_SYN_ACK = 0x0100, /* one packet had SYN and ACK: AWS's tcp-flags counts that as 16 */
	FFFA_SLOT_WINDOW = 0x0200,  /* window_min, _max and _last hold something */
	FFFA_SLOT_ECT1 = 0x0400,    /* the IP ECN fields ORed, shifted left by FFFA_SLOT_ECN_SHIFT */
	FFFA_SLOT_ECT0 = 0x0800,
};
#define FFFA_SLOT_ECN_SHIFT 10
#define FFFA_VLAN_PRESENT 0x1000 /* set in every vlan field that names a VLAN; the id is in the low 12 bits */

/* What was measured of one direction since the last read-out; all zero where nothing was. */
struct fffa_slot {
	__u64 packets;  /* on the wire: the segments of a super-packet each count */
	__u64 bytes;    /* IP level, innermost packet */
	__u64 first_ns; /* of the packets counted here; the last one's time is fffa_half.last_ns */
	__u64 rtt_sum_ns;
	__u64 jitter_sum_ns;
	__u32 rtt_min; /* rtt units */
	__u32 rtt_max;
	__u32 rtt_samples;
	__u32 jitter_max_ns;
	__u32 jitter_samples;
	__u32 fast_retransmits;
	__u32 timeout_retransmits;
	__u32 spurious_retransmits; /* a part of the two above */
	__u32 out_of_order;
	__u32 duplicate_acks;
	__u32 window_min; /* bytes, scaled where the handshake was seen */
	__u32 window_max;
	__u32 window_last;
	__u32 zero_windows;
	__u32 ecn_ce;
	__u32 tcp_ece;
	__u32 tcp_cwr;
	__u16 flags; /* enum fffa_slot_flags */
	__u16 vlan;  /* the last packet's outermost VLAN, with FFFA_VLAN_PRESENT; 0: untagged */
};
FFFA_SIZE(fffa_slot, 112);
FFFA_AT(fffa_slot, packets, 0);
FFFA_AT(fffa_slot, bytes, 8);
FFFA_AT(fffa_slot, first_ns, 16);
FFFA_AT(fffa_slot, rtt_sum_ns, 24);
FFFA_AT(fffa_slot, jitter_sum_ns, 32);
FFFA_AT(fffa_slot, rtt_min, 40);
FFFA_AT(fffa_slot, rtt_max, 44);
FFFA_AT(fffa_slot, rtt_samples, 48);
FFFA_AT(fffa_slot, jitter_max_ns, 52);
FFFA_AT(fffa_slot, jitter_samples, 56);
FFFA_AT(fffa_slot, fast_retransmits, 60);
FFFA_AT(fffa_slot, timeout_retransmits, 64);
FFFA_AT(fffa_slot, spurious_retransmits, 68);
FFFA_AT(fffa_slot, out_of_order, 72);
FFFA_AT(fffa_slot, duplicate_acks, 76);
FFFA_AT(fffa_slot, window_min, 80);
FFFA_AT(fffa_slot, window_max, 84);
FFFA_AT(fffa_slot, window_last, 88);
FFFA_AT(fffa_slot, zero_windows, 92);
FFFA_AT(fffa_slot, ecn_ce, 96);
FFFA_AT(fffa_slot, tcp_ece, 100);
FFFA_AT(fffa_slot, tcp_cwr, 104);
FFFA_AT(fffa_slot, flags, 108);
FFFA_AT(fffa_slot, vlan, 110);

/* Sequence space that was skipped and not seen since: [start, end), none where start == end. */
struct fffa_hole {
	__u32 start;
	__u32 end;
	__u32 opened; /* tick of the segment that skipped it */
};
FFFA_SIZE(fffa_hole, 12);
FFFA_AT(fffa_hole, start, 0);
FFFA_AT(fffa_hole, end, 4);
FFFA_AT(fffa_hole, opened, 8);

/* fffa_half.seen: what this direction has shown since the connection began. */
enum fffa_seen {
	FFFA_SEEN_SEQUENCE = 0x0001, /* next_seq is known */
	FFFA_SEEN_ACK = 0x0002,      /* last_ack is known */
	FFFA_SEEN_SYN = 0x0004,      /* sent a SYN without ACK */
	FFFA_SEEN_SYN_ACK = 0x0008,
	FFFA_SEEN_FIN = 0x0010,
	FFFA_SEEN_RST = 0x0020,        /* aborted the connection, before both sides had closed it */
	FFFA_SEEN_INTERVAL = 0x0040,   /* last_interval_ns is known */
	FFFA_SEEN_HOLE = 0x0080,       /* a hole may be open */
	FFFA_SEEN_INITIATOR = 0x0100,  /* opened the connection: sent the SYN, else the first packet seen */
	FFFA_SEEN_DATA = 0x0200,       /* carried payload */
	FFFA_SEEN_PROBE = 0x0400,      /* probe_end and probe_sent hold a segment that was sent once */
	FFFA_SEEN_NEWEST = 0x0800,     /* newest_sent does: the peer has not acknowledged it yet */
	FFFA_SEEN_KEEP_ALIVE = 0x1000, /* the last segment was a keep-alive or a window probe */
	FFFA_SEEN_TIMED_OUT = 0x2000,  /* sent something again after a timeout, and nothing new since */
};
#define FFFA_SEEN_RTT (FFFA_SEEN_PROBE | FFFA_SEEN_NEWEST)
#define FFFA_SEEN_ANY_SYN (FFFA_SEEN_SYN | FFFA_SEEN_SYN_ACK)

/* One direction's state; it outlives read-outs. "Peer" is the other direction. */
struct fffa_half {
	__u32 next_seq;  /* the highest sequence number sent, plus one */
	__u32 last_ack;  /* the highest acknowledgement sent */
	__u32 probe_end; /* the RTT probe: the peer's ACK of this ends it; FFFA_SEEN_PROBE */
	__u32 last_interval_ns;
	__u32 probe_sent;  /* rtt units */
	__u32 newest_sent; /* of the segment that ends at next_seq, rtt units; FFFA_SEEN_NEWEST */
	__u64 last_ns;     /* the last packet, of whatever protocol */
	__u32 initial_seq;
	__u32 sent_tick; /* when sequence space was last sent */
	__u32 srtt;      /* RFC 6298, rtt units: of this direction's segments */
	__u32 rttvar;
	__u32 rtt_min;
	__u32 third_dup_tick; /* when this direction's third duplicate ACK in a row was seen */
	__u16 last_window;    /* raw */
	__u16 last_sack;      /* digest of the last pure ACK's first SACK block */
	__u16 seen;           /* enum fffa_seen */
	__u8 dup_run;         /* duplicate ACKs in a row, at most 255 */
	__u8 scale;           /* low nibble: shift in force; high: shift offered, 15 if none */
	struct fffa_hole holes[FFFA_HOLES];
};
FFFA_SIZE(fffa_half, 112);
FFFA_AT(fffa_half, next_seq, 0);
FFFA_AT(fffa_half, last_ack, 4);
FFFA_AT(fffa_half, probe_end, 8);
FFFA_AT(fffa_half, last_interval_ns, 12);
FFFA_AT(fffa_half, probe_sent, 16);
FFFA_AT(fffa_half, newest_sent, 20);
FFFA_AT(fffa_half, last_ns, 24);
FFFA_AT(fffa_half, initial_seq, 32);
FFFA_AT(fffa_half, sent_tick, 36);
FFFA_AT(fffa_half, srtt, 40);
FFFA_AT(fffa_half, rttvar, 44);
FFFA_AT(fffa_half, rtt_min, 48);
FFFA_AT(fffa_half, third_dup_tick, 52);
FFFA_AT(fffa_half, last_window, 56);
FFFA_AT(fffa_half, last_sack, 58);
FFFA_AT(fffa_half, seen, 60);
FFFA_AT(fffa_half, dup_run, 62);
FFFA_AT(fffa_half, scale, 63);
FFFA_AT(fffa_half, holes, 64);

struct fffa_flow {
	__u32 lock;         /* 0 free, 1 held: everything below changes only under it */
	__u32 handshake_us; /* first SYN to the ACK that completes the handshake, 0: not seen; free entries: the next
			       free one */
	struct fffa_flow_key key;
	__u64 syn_ns;             /* the connection's first SYN, 0: not seen */
	struct fffa_half half[2]; /* by enum fffa_direction */
	struct fffa_slot slot[2];
};
FFFA_SIZE(fffa_flow, 512);
FFFA_AT(fffa_flow, lock, 0);
FFFA_AT(fffa_flow, handshake_us, 4);
FFFA_AT(fffa_flow, key, 8);
FFFA_AT(fffa_flow, syn_ns, 56);
FFFA_AT(fffa_flow, half, 64);
FFFA_AT(fffa_flow, slot, 288);

#endif
