/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What leaves the kernel: records of a read-out, events of the ring buffer, counters. */
#ifndef FFFA_BPF_READOUT_H
#define FFFA_BPF_READOUT_H

#include "flow.h"
#include "side.h"

/* Why a packet is in no flow, or only partly, or took another way. In groups: filtered, noted, diverted, lost. */
enum fffa_reason {
	FFFA_OK = 0,
	/* filtered: no flow can be named, the packet counts only here */
	FFFA_NOT_IP = 1,
	FFFA_TRUNCATED_L2 = 2,
	FFFA_TRUNCATED_L3 = 3,
	FFFA_BAD_IP_VERSION = 4,
	FFFA_BAD_IHL = 5,
	FFFA_BAD_IP_LENGTH = 6,
	FFFA_VLAN_TOO_DEEP = 7,
	/* noted: counted in its flow, as far as its headers can be trusted */
	FFFA_EXT_CHAIN_TOO_LONG = 8,   /* packets and bytes count, with the protocol at which the walk ended */
	FFFA_TRUNCATED_L4 = 9,         /* packets and bytes count, with the ports if those are there */
	FFFA_BAD_TCP_OFFSET = 10,      /* likewise */
	FFFA_BAD_TUNNEL = 11,          /* a tunnel that cannot be opened: the outer flow counts */
	FFFA_LENGTH_BEYOND_FRAME = 12, /* the IP header claims more bytes than the frame had; they count as claimed */
	/* diverted to the ring buffer as a one-packet record (lost only if that is full) */
	FFFA_TABLE_FULL = 13,
	FFFA_LOCK_BUSY = 14,
	/* lost: neither table nor ring had room */
	FFFA_RING_FULL = 15,
	FFFA_REASONS = 16,
};

struct fffa_count {
	__u64 packets;
	__u64 bytes;
};
FFFA_SIZE(fffa_count, 16);
FFFA_AT(fffa_count, packets, 0);
FFFA_AT(fffa_count, bytes, 8);

/* Per CPU and interface, by enum fffa_direction. seen = (in the table or read out) + filtered + diverted + lost, in
 * packets and in bytes. Bytes are those that flows count (IP level, innermost packet); of a filtered packet, its length
 * without the Ethernet header. */
struct fffa_interface_counters {
	struct fffa_count seen[2];
	struct fffa_count filtered[2];
	struct fffa_count diverted[2];
	struct fffa_count lost[2];
};
FFFA_SIZE(fffa_interface_counters, 128);
FFFA_AT(fffa_interface_counters, seen, 0);
FFFA_AT(fffa_interface_counters, filtered, 32);
FFFA_AT(fffa_interface_counters, diverted, 64);
FFFA_AT(fffa_interface_counters, lost, 96);

/* Per CPU, one for each enum fffa_reason. */
struct fffa_reason_counters {
	struct fffa_count side[2];
};
FFFA_SIZE(fffa_reason_counters, 32);
FFFA_AT(fffa_reason_counters, side, 0);

/* Verdicts that belong to no flow, in packets. */
enum fffa_unattributed {
	FFFA_NOT_PARSED = 0, /* no flow can be named */
	FFFA_NO_ROOM = 1,    /* the flow has no place in the table */
	FFFA_NOTE_LOST = 2,  /* the packet was forgotten on its way: too many were */
	FFFA_UNATTRIBUTED = 3,
};

/* Per CPU and hook, in packets. */
struct fffa_hook_counters {
	__u64 accepts;
	__u64 drops;
	__u64 rejects;
	__u64 queues;
};
FFFA_SIZE(fffa_hook_counters, 32);
FFFA_AT(fffa_hook_counters, accepts, 0);
FFFA_AT(fffa_hook_counters, drops, 8);
FFFA_AT(fffa_hook_counters, rejects, 16);
FFFA_AT(fffa_hook_counters, queues, 24);
#define FFFA_HOOKS 6

/* Whether packets are noted at every hook. While that begins those that are under way may lack their note: nothing is
 * told by notes yet. */
enum fffa_noting { FFFA_NO_NOTES = 0, FFFA_NOTES_BEGIN = 1, FFFA_NOTES_TAKEN = 2 };

/* CPUs that are told apart where one must know what it was doing; more of them share. */
#define FFFA_CPUS 1024

/* The last packet that a CPU sent to say that it refused another (a reset, an ICMP error): it leaves while that one is
 * still in its hands. */
struct fffa_sent_answer {
	__u64 time_ns; /* 0: it was matched to the packet that it answers */
	union fffa_addr to;
	__u16 from_port; /* of a reset; of an ICMP error those of the packet that it quotes, turned round */
	__u16 to_port;   /* likewise; 0: not known */
	__u8 proto;      /* what it answers; 0: not known */
	__u8 reserved[3];
};
FFFA_SIZE(fffa_sent_answer, 32);
FFFA_AT(fffa_sent_answer, time_ns, 0);
FFFA_AT(fffa_sent_answer, to, 8);
FFFA_AT(fffa_sent_answer, from_port, 24);
FFFA_AT(fffa_sent_answer, to_port, 26);
FFFA_AT(fffa_sent_answer, proto, 28);

/* Interfaces that have counters of their own; packets of any further one count together, behind the last place. */
#define FFFA_INTERFACES 256

/* An interface whose flows get verdicts: at the place of its ifindex modulo FFFA_INTERFACES, or one of the next few. */
struct fffa_monitored {
	__u32 ifindex;    /* 0: nobody's place */
	__u32 directions; /* a bit set: 1 << enum fffa_direction */
};
FFFA_SIZE(fffa_monitored, 8);
FFFA_AT(fffa_monitored, ifindex, 0);
FFFA_AT(fffa_monitored, directions, 4);
#define FFFA_MONITORED_TRIES 16

/* The most entries of the table that one run of the read-out program looks at. */
#define FFFA_DRAIN_CHUNK 4096

enum fffa_drain_flags {
	FFFA_DRAIN_LIST = 1, /* look at drain_list[0 .. count) instead of start .. start + count */
	FFFA_DRAIN_NO_DELETE = 2,
};

/* Written by user space before a run of the read-out program. */
struct fffa_drain_request {
	__u64 now_ns;    /* 0: the program reads the clock itself */
	__u64 idle_ns;   /* delete what has nothing to report and has been silent for this long */
	__u64 linger_ns; /* delete (having reported it) what has ended and has been silent for this long */
	__u32 start;
	__u32 count; /* at most FFFA_DRAIN_CHUNK */
	__u32 flags; /* enum fffa_drain_flags */
	__u32 reserved;
};
FFFA_SIZE(fffa_drain_request, 40);
FFFA_AT(fffa_drain_request, now_ns, 0);
FFFA_AT(fffa_drain_request, idle_ns, 8);
FFFA_AT(fffa_drain_request, linger_ns, 16);
FFFA_AT(fffa_drain_request, start, 24);
FFFA_AT(fffa_drain_request, count, 28);
FFFA_AT(fffa_drain_request, flags, 32);
FFFA_AT(fffa_drain_request, reserved, 36);

/* Written by that run. */
struct fffa_drain_result {
	__u32 records; /* in drain_records[0 .. records) */
	__u32 deleted;
	__u32 busy;   /* entries that could not be locked: theirs to the next run */
	__u32 in_use; /* entries looked at that hold a connection still */
};
FFFA_SIZE(fffa_drain_result, 16);
FFFA_AT(fffa_drain_result, records, 0);
FFFA_AT(fffa_drain_result, deleted, 4);
FFFA_AT(fffa_drain_result, busy, 8);
FFFA_AT(fffa_drain_result, in_use, 12);

enum fffa_record_flags {
	FFFA_RECORD_ENDED = 1,    /* FIN from both sides, or RST */
	FFFA_RECORD_DELETED = 2,  /* the table has forgotten the connection; another packet of it makes a new entry */
	FFFA_RECORD_VERDICTS = 4, /* `verdicts` holds something */
};

/* One connection with something to report. A direction whose slot has no packets may still have round trips, of packets
 * that an earlier read-out reported, or verdicts (its last_ns is the read-out's then); without those it has nothing. */
struct fffa_drain_record {
	struct fffa_flow_key key;
	__u64 last_ns[2]; /* by enum fffa_direction, like the arrays below */
	__u32 index;
	__u32 handshake_us;   /* 0: not seen */
	__u16 seen[2];        /* enum fffa_seen, since the connection began */
	__u8 window_scale[2]; /* shift in force; FFFA_NO_SCALE: handshake not seen */
	__u8 flags;           /* enum fffa_record_flags */
	__u8 reserved;
	struct fffa_slot slot[2];
	struct fffa_tunnel tunnel;     /* only where key.encap is not 0; else old bytes */
	struct fffa_verdicts verdicts; /* only with FFFA_RECORD_VERDICTS; else old bytes */
};
#define FFFA_NO_SCALE 0xff
FFFA_SIZE(fffa_drain_record, 672);
FFFA_AT(fffa_drain_record, key, 0);
FFFA_AT(fffa_drain_record, last_ns, 48);
FFFA_AT(fffa_drain_record, index, 64);
FFFA_AT(fffa_drain_record, handshake_us, 68);
FFFA_AT(fffa_drain_record, seen, 72);
FFFA_AT(fffa_drain_record, window_scale, 76);
FFFA_AT(fffa_drain_record, flags, 78);
FFFA_AT(fffa_drain_record, reserved, 79);
FFFA_AT(fffa_drain_record, slot, 80);
FFFA_AT(fffa_drain_record, tunnel, 304);
FFFA_AT(fffa_drain_record, verdicts, 448);

enum fffa_event_type {
	FFFA_EVENT_PACKET = 1, /* a one-packet record: the packet is in no flow of the table */
	FFFA_EVENT_END = 2,    /* the connection at `index` has ended; only key, index, time and direction are set */
};

/* What the ring buffer carries. */
struct fffa_event {
	__u32 type;     /* enum fffa_event_type */
	__u8 direction; /* enum fffa_direction */
	__u8 reason;    /* FFFA_TABLE_FULL or FFFA_LOCK_BUSY */
	__u16 vlan;     /* as fffa_slot.vlan */
	struct fffa_flow_key key;
	__u64 time_ns;
	__u32 index;
	__u32 packets;
	__u32 bytes;
	__u32 outer_bytes; /* 0 where not encapsulated */
	__u32 window;      /* as fffa_slot.window_last, if flags has FFFA_SLOT_WINDOW */
	__u16 flags;       /* as fffa_slot.flags */
	__u16 reserved;
	struct fffa_outer outer; /* where key.encap is not 0 */
};
FFFA_SIZE(fffa_event, 152);
FFFA_AT(fffa_event, type, 0);
FFFA_AT(fffa_event, direction, 4);
FFFA_AT(fffa_event, reason, 5);
FFFA_AT(fffa_event, vlan, 6);
FFFA_AT(fffa_event, key, 8);
FFFA_AT(fffa_event, time_ns, 56);
FFFA_AT(fffa_event, index, 64);
FFFA_AT(fffa_event, packets, 68);
FFFA_AT(fffa_event, bytes, 72);
FFFA_AT(fffa_event, outer_bytes, 76);
FFFA_AT(fffa_event, window, 80);
FFFA_AT(fffa_event, flags, 84);
FFFA_AT(fffa_event, reserved, 86);
FFFA_AT(fffa_event, outer, 88);

#endif
