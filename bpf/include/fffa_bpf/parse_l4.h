/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Transport headers: ports, and what tracking needs of TCP. */
#ifndef FFFA_BPF_PARSE_L4_H
#define FFFA_BPF_PARSE_L4_H

#include "packet.h"

enum {
	FFFA_PROTO_ICMP = 1,
	FFFA_PROTO_TCP = 6,
	FFFA_PROTO_UDP = 17,
	FFFA_PROTO_ICMPV6 = 58,
	FFFA_PROTO_SCTP = 132,
	FFFA_PROTO_UDPLITE = 136,
};
enum { FFFA_GENEVE_PORT = 6081 };
enum { FFFA_FIN = 0x01, FFFA_SYN = 0x02, FFFA_RST = 0x04, FFFA_ACK = 0x10, FFFA_ECE = 0x40, FFFA_CWR = 0x80 };
enum { FFFA_OPT_END = 0, FFFA_OPT_NOP = 1, FFFA_OPT_SCALE = 3, FFFA_OPT_SACK = 5, FFFA_OPT_LIMIT = 16 };
enum { FFFA_TIMESTAMPS_ONLY = 0x0a080101 }; /* NOP NOP timestamps, as loaded: what almost every segment carries */

FFFA_INLINE void fffa_set_ports(struct fffa_packet *p, __u16 src, __u16 dst, const int direction)
{
	p->key.remote_port = direction == FFFA_INGRESS ? src : dst;
	p->key.local_port = direction == FFFA_INGRESS ? dst : src;
}

/* Notes what is wrong with a packet: the first thing, for what comes behind it follows from it. */
FFFA_INLINE void fffa_note(struct fffa_packet *p, __u8 reason)
{
	if (!p->note) p->note = reason;
}

/* The transport header is not there whole: packets and bytes count all the same. */
FFFA_INLINE void fffa_count_only(struct fffa_packet *p, __u8 reason, __u8 cut)
{
	fffa_note(p, reason);
	p->cut |= cut;
	p->tcp = (__u8)fffa_any(0);
}

FFFA_INLINE void fffa_read_option(const __u8 *option, const __u8 *end, __u8 kind, struct fffa_packet *p)
{
	if (kind == FFFA_OPT_SCALE) {
		p->scale = option[2] > 14 ? 14 : option[2];
	} else if (option + 10 <= end) {
		const __u32 mix = fffa_be32(option + 2) * 3 ^ fffa_be32(option + 6);
		p->sack = (__u16)((mix ^ mix >> 16) | 1);
	}
}

/* Looks for the one option that matters here: window scale on a SYN, SACK on a pure ACK. `size`: bytes of the TCP
 * header. */
FFFA_INLINE void fffa_parse_options(const __u8 *tcp, const __u8 *end, __u32 size, struct fffa_packet *p)
{
	const __u8 wanted = p->flags & FFFA_SYN ? FFFA_OPT_SCALE : FFFA_OPT_SACK;
	__u32 at = 20;
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_OPT_LIMIT; i++) {
		if (at + 3 > size || at > 57) return;
		const __u8 *option = tcp + at;
		if (option + 3 > end) {
			p->cut = 1;
			return;
		}
		const __u8 kind = option[0], length = option[1];
		if (kind == wanted) {
			fffa_read_option(option, end, kind, p);
			return;
		}
		if (kind == FFFA_OPT_END || (kind != FFFA_OPT_NOP && (length < 2 || length > 40))) return;
		at += kind == FFFA_OPT_NOP ? 1u : length;
	}
}

/* `room`: bytes of the IP payload that were on the wire. */
FFFA_INLINE void fffa_parse_tcp(const __u8 *tcp, const __u8 *end, __u32 room, struct fffa_packet *p)
{
	__u32 header = (tcp[12] >> 4) * 4u;
	if (fffa_unlikely(header < 20 || header > room)) {
		fffa_count_only(p, FFFA_BAD_TCP_OFFSET, 0);
		return;
	}
	p->tcp = (__u8)fffa_any(1);
	p->headers += header;
	p->seq = fffa_be32(tcp + 4);
	p->ack = fffa_be32(tcp + 8);
	p->flags = tcp[13];
	p->window = fffa_be16(tcp + 14);
	p->payload = room - header;
	p->scale = (__u8)fffa_any(FFFA_NO_OFFER);
	p->sack = 0;
	if (header == 20) return;
	if (fffa_likely(!(p->flags & FFFA_SYN))) {
		if (p->payload) return;
		if (header == 32 && tcp + 24 <= end && fffa_load32(tcp + 20) == FFFA_TIMESTAMPS_ONLY) return;
	}
	p->pending = FFFA_PENDING_OPTIONS;
}

/* The bytes that the fixed part of a transport header has, of those whose ports (or type and code) are read. */
FFFA_INLINE __u32 fffa_l4_size(__u8 proto)
{
	switch (proto) {
	case FFFA_PROTO_TCP: return 20;
	case FFFA_PROTO_UDP:
	case FFFA_PROTO_UDPLITE: return 8;
	case FFFA_PROTO_SCTP: return 12;
	case FFFA_PROTO_ICMP:
	case FFFA_PROTO_ICMPV6: return 4;
	default: return 0;
	}
}

/* All but a whole TCP or UDP header. */
FFFA_INLINE void fffa_parse_other_l4(const __u8 *l4, const __u8 *end, __u32 room, struct fffa_packet *p,
				     const int direction)
{
	const __u32 size = fffa_l4_size(p->key.proto);
	fffa_set_ports(p, 0, 0, direction);
	if (!size) return;
	const int whole = room >= size && l4 + size <= end;
	if (!whole) fffa_count_only(p, FFFA_TRUNCATED_L4, l4 + size > end);
	if (room < 4 || l4 + 4 > end) return;
	if (p->key.proto == FFFA_PROTO_ICMP || p->key.proto == FFFA_PROTO_ICMPV6)
		fffa_set_ports(p, 0, (__u16)(l4[0] << 8 | l4[1]), direction);
	else
		fffa_set_ports(p, fffa_be16(l4), fffa_be16(l4 + 2), direction);
	if (whole) p->headers += size;
}

FFFA_INLINE void fffa_parse_udp(const __u8 *udp, struct fffa_packet *p, const int direction)
{
	const __u16 to = fffa_be16(udp + 2);
	fffa_set_ports(p, fffa_be16(udp), to, direction);
	p->headers += 8;
	if ((p->tunnels & FFFA_OPEN_GENEVE) && to == FFFA_GENEVE_PORT) p->pending = FFFA_PENDING_TUNNEL;
}

/* What almost all packets have, a whole TCP or UDP header; others are left pending. */
FFFA_INLINE void fffa_parse_l4(const __u8 *l4, const __u8 *end, __u32 room, struct fffa_packet *p, const int direction)
{
	if (fffa_likely(p->key.proto == FFFA_PROTO_TCP && room >= 20 && l4 + 20 <= end)) {
		fffa_set_ports(p, fffa_be16(l4), fffa_be16(l4 + 2), direction);
		fffa_parse_tcp(l4, end, room, p);
	} else if (p->key.proto == FFFA_PROTO_UDP && room >= 8 && l4 + 8 <= end) {
		fffa_parse_udp(l4, p, direction);
	} else {
		p->pending = FFFA_PENDING_TRANSPORT;
	}
}

#endif
