/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the parser is given, and what it makes of it. */
#ifndef FFFA_BPF_PACKET_H
#define FFFA_BPF_PACKET_H

#include "types.h"

#define FFFA_NO_OFFER 15 /* fffa_packet.scale: no window scale option */

/* One frame as it was captured. */
struct fffa_frame {
	const __u8 *data;
	const __u8 *end; /* behind the last captured byte */
	__u32 length;    /* on the wire; more than end - data where the capture was cut short */
	__u32 segments;  /* packets on the wire that this one stands for (GSO, GRO), at least 1 */
	__u32 ifindex;
	__u32 tunnels;  /* enum fffa_tunnels: what to open */
	__u16 vlan;     /* a tag that stands beside the data, as fffa_slot.vlan; 0: none */
	__u8 at_sender; /* captured where it was sent, before any network could reorder it */
};

/* What the first look at a packet leaves to be done: each is a step of its own, because few packets need it. */
enum fffa_pending {
	FFFA_PENDING_EXTENSIONS = 1, /* IPv6 extension headers */
	FFFA_PENDING_TRANSPORT = 2,  /* the transport header behind them, or one that is not TCP's or UDP's */
	FFFA_PENDING_TUNNEL = 4,     /* a tunnel's header */
	FFFA_PENDING_INNER = 8,      /* what is in it */
	FFFA_PENDING_OPTIONS = 16,   /* TCP options */
	FFFA_PENDING_FRAGMENT = 32,  /* an IPv4 packet that is one of several fragments, with its transport header */
	FFFA_PENDING_ALL = 64,       /* everything once more, and by steps: a tunnel that is not as almost all are */
};

enum {
	FFFA_OFFSET_LIMIT = 0x3fff, /* no tunnel and no extension header is followed beyond this */
	FFFA_OFFSET_MASK = 0x7fff,  /* so no header is beyond this, which the verifier is told by masking */
};

/* What a packet is of its datagram; what is whole (IPv6's "atomic fragments" are) is neither. */
enum fffa_fragment_kind {
	FFFA_FRAGMENT_FIRST = 1, /* others follow */
	FFFA_FRAGMENT_LATER = 2, /* it has no transport header: ports are 0 until fragment.h knows better */
};

/* One parsed packet. The innermost one, where tunnels were opened; `outer` and `outer_bytes` are set only then. */
struct fffa_packet {
	struct fffa_flow_key key;
	__u64 time_ns; /* set by the caller */
	__u32 bytes;   /* IP level, of all `packets` */
	__u32 packets;
	__u32 outer_bytes;
	__u32 headers; /* bytes from its IP header to its payload */
	__u32 seq;     /* this and all below up to `sack`: where tcp is set */
	__u32 ack;
	__u32 payload;
	__u16 window;
	__u16 sack; /* digest of the first SACK block of a pure ACK; 0: none */
	__u8 scale; /* window scale offered by a SYN, at most 14; FFFA_NO_OFFER */
	__u8 flags;
	__u8 tcp; /* the TCP header is there and valid */
	__u8 ecn; /* the IP header's ECN field */
	__u16 vlan;
	__u8 note; /* enum fffa_reason: FFFA_OK, or one of the noted ones */
	__u8 cut;  /* some of it was not captured, or is not within the frame's length */
	__u8 at_sender;
	__u8 direction;   /* enum fffa_direction */
	__u8 pending;     /* enum fffa_pending */
	__u8 tunnels;     /* enum fffa_tunnels: what to open */
	__u32 room;       /* bytes on the wire from l4_at to the end of the IP packet */
	__u16 ip_at;      /* offsets in the frame: the innermost IP header so far, */
	__u16 l4_at;      /* what follows it, */
	__u16 outer_at;   /* and the outermost IP header */
	__u16 inner_type; /* of the tunnel that is being opened: EtherType, */
	__u32 inner_vni;  /* and VNI */
	/* These are set by the steps only: on the common way nothing is a fragment. */
	__u8 fragment;       /* enum fffa_fragment_kind */
	__u8 datagram_proto; /* in its IPv4 or fragment header: that of all of the datagram's fragments */
	__u8 outer_fragment; /* likewise of the outermost packet, where a tunnel in it was opened */
	__u8 outer_datagram_proto;
	__u32 fragment_id;
	__u32 outer_fragment_id;
	struct fffa_outer outer;
};
FFFA_SIZE(fffa_packet, 192);
FFFA_AT(fffa_packet, time_ns, 48);
FFFA_AT(fffa_packet, bytes, 56);
FFFA_AT(fffa_packet, window, 84);
FFFA_AT(fffa_packet, vlan, 92);
FFFA_AT(fffa_packet, direction, 97);
FFFA_AT(fffa_packet, room, 100);
FFFA_AT(fffa_packet, fragment, 116);
FFFA_AT(fffa_packet, outer, 128);

/* A constant that the verifier takes for any number: ways that differ by it then meet again. */
FFFA_INLINE __u32 fffa_any(__u32 constant)
{
	FFFA_FORGET(constant);
	return constant;
}

#endif
