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
	FFFA_PENDING_ALL = 32,       /* everything once more, and by steps: a tunnel that is not as almost all are */
};

enum {
	FFFA_OFFSET_LIMIT = 0x3fff, /* no tunnel and no extension header is followed beyond this */
	FFFA_OFFSET_MASK = 0x7fff,  /* so no header is beyond this, which the verifier is told by masking */
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
	struct fffa_outer outer;
};
FFFA_SIZE(fffa_packet, 184);
FFFA_AT(fffa_packet, time_ns, 48);
FFFA_AT(fffa_packet, bytes, 56);
FFFA_AT(fffa_packet, window, 84);
FFFA_AT(fffa_packet, vlan, 92);
FFFA_AT(fffa_packet, direction, 97);
FFFA_AT(fffa_packet, room, 100);
FFFA_AT(fffa_packet, outer, 120);

/* A constant that the verifier takes for any number: ways that differ by it then meet again. */
FFFA_INLINE __u32 fffa_any(__u32 constant)
{
	FFFA_FORGET(constant);
	return constant;
}

#endif
