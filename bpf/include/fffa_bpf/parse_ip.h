/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Ethernet, VLAN tags, IPv4 and IPv6 headers. */
#ifndef FFFA_BPF_PARSE_IP_H
#define FFFA_BPF_PARSE_IP_H

#include "parse_l4.h"

enum {
	FFFA_ETH_IPV4 = 0x0800,
	FFFA_ETH_IPV6 = 0x86dd,
	FFFA_ETH_8021Q = 0x8100,
	FFFA_ETH_8021AD = 0x88a8,
	FFFA_ETH_BRIDGED = 0x6558,
	FFFA_VLAN_DEPTH = 2,
	FFFA_EXT_LIMIT = 8,
	FFFA_EXT_LONGEST = 2048,
};
enum {
	FFFA_EXT_HOP_BY_HOP = 0,
	FFFA_EXT_ROUTING = 43,
	FFFA_EXT_FRAGMENT = 44,
	FFFA_EXT_AUTHENTICATION = 51,
	FFFA_EXT_DESTINATION = 60,
};

/* Where the parser stands. */
struct fffa_cursor {
	const __u8 *begin; /* of the frame */
	const __u8 *at;
	const __u8 *end;
	__u32 offset;   /* of `at` in the frame */
	__u32 length;   /* of the frame on the wire */
	__u16 type;     /* EtherType of what stands at `at` */
	__u16 fragment; /* not 0: it is not a packet's first */
};

FFFA_INLINE void fffa_advance(struct fffa_cursor *c, __u32 bytes)
{
	c->at += bytes;
	c->offset += bytes;
}

/* Ways through the parser meet here that differ in where the cursor stands. */
FFFA_INLINE void fffa_meet(struct fffa_cursor *c)
{
	FFFA_FORGET(c->offset);
	c->offset &= FFFA_OFFSET_MASK;
	c->at = c->begin + c->offset;
}

/* Bytes on the wire from the cursor on. */
FFFA_INLINE __s64 fffa_left(const struct fffa_cursor *c) { return (__s64)c->length - c->offset; }

FFFA_INLINE int fffa_is_vlan(__u16 type) { return type == FFFA_ETH_8021Q || type == FFFA_ETH_8021AD; }

/* Steps over an Ethernet header and up to two VLAN tags; `vlan` becomes the outermost tag's id if it is 0. */
FFFA_INLINE int fffa_parse_ethernet(struct fffa_cursor *c, __u16 *vlan)
{
	if (c->at + 14 > c->end) return FFFA_TRUNCATED_L2;
	c->type = fffa_be16(c->at + 12);
	fffa_advance(c, 14);
	if (fffa_likely(!fffa_is_vlan(c->type))) return FFFA_OK;
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_VLAN_DEPTH; i++) {
		if (c->at + 4 > c->end) return FFFA_TRUNCATED_L2;
		if (!*vlan) *vlan = FFFA_VLAN_PRESENT | (fffa_be16(c->at) & 0x0fff);
		c->type = fffa_be16(c->at + 2);
		fffa_advance(c, 4);
		if (!fffa_is_vlan(c->type)) return FFFA_OK;
	}
	return FFFA_VLAN_TOO_DEEP;
}

/* What the IP header says, and how much of that was on the wire. Leaves the cursor behind the header. */
FFFA_INLINE int fffa_set_length(struct fffa_cursor *c, struct fffa_packet *p, __u32 header, __u32 total)
{
	const __s64 left = fffa_left(c);
	if (left < (__s64)header) return FFFA_BAD_IP_LENGTH;
	if (fffa_unlikely(!total)) total = (__u32)left; /* a jumbogram, or a super-packet beyond 64 KiB */
	if (total < header) return FFFA_BAD_IP_LENGTH;
	/* without branches, which the verifier would follow on through all that comes behind */
	const __s64 spare = left - (__s64)total;
	__u64 beyond = (__u64)spare >> 63;
	FFFA_OPAQUE(beyond);
	p->cut = (__u8)beyond;
	p->note |= (__u8)(beyond * FFFA_LENGTH_BEYOND_FRAME);
	p->bytes = total;
	p->headers = header;
	p->room = total + (__u32)spare * (__u32)beyond - header;
	p->ip_at = (__u16)c->offset;
	fffa_advance(c, header);
	p->l4_at = (__u16)c->offset;
	return FFFA_OK;
}

FFFA_INLINE int fffa_parse_ipv4(struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	const __u8 *ip = c->at;
	if (ip + 20 > c->end) return FFFA_TRUNCATED_L3;
	__u32 header = 20;
	if (fffa_unlikely(ip[0] != 0x45)) {
		if (ip[0] >> 4 != 4) return FFFA_BAD_IP_VERSION;
		header = (ip[0] & 15) * 4u;
		if (header < 20) return FFFA_BAD_IHL;
		if (ip + header > c->end) return FFFA_TRUNCATED_L3;
	}
	const union fffa_addr src = {.words = {fffa_load32(ip + 12), 0}}, dst = {.words = {fffa_load32(ip + 16), 0}};
	p->key.remote_addr = direction == FFFA_INGRESS ? src : dst;
	p->key.local_addr = direction == FFFA_INGRESS ? dst : src;
	p->key.family = (__u8)fffa_any(4);
	p->key.proto = ip[9];
	p->ecn = ip[1] & 3;
	c->fragment = fffa_be16(ip + 6) & 0x1fff;
	return fffa_set_length(c, p, header, fffa_be16(ip + 2));
}

FFFA_INLINE int fffa_is_extension(__u8 proto)
{
	const __u64 all = 1ull << FFFA_EXT_HOP_BY_HOP | 1ull << FFFA_EXT_ROUTING | 1ull << FFFA_EXT_FRAGMENT |
			  1ull << FFFA_EXT_AUTHENTICATION | 1ull << FFFA_EXT_DESTINATION;
	return proto < 64 && (all >> proto & 1);
}

/* Walks the extension headers that begin at the cursor; a later fragment ends the walk. Returns FFFA_OK or a note: then
 * the packet is one of the protocol whose header could not be passed. */
FFFA_INLINE int fffa_parse_extensions(struct fffa_cursor *c, struct fffa_packet *p)
{
	__u32 size = 0; /* of all so far */
	__u32 proto = p->key.proto;
	int reason = FFFA_EXT_CHAIN_TOO_LONG;
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_EXT_LIMIT; i++) {
		FFFA_FORGET(size);
		if (size > FFFA_EXT_LIMIT * FFFA_EXT_LONGEST) break;
		const __u8 *header = c->at + size;
		if (header + 8 > c->end) {
			p->cut = 1;
			reason = FFFA_TRUNCATED_L4;
			break;
		}
		if (proto == FFFA_EXT_FRAGMENT) {
			size += 8;
			c->fragment = fffa_be16(header + 2) & 0xfff8;
		} else if (proto == FFFA_EXT_AUTHENTICATION) {
			size += (header[1] + 2u) * 4;
		} else {
			size += (header[1] + 1u) * 8;
		}
		proto = header[0];
		if (c->offset + size > FFFA_OFFSET_LIMIT) break;
		if (!fffa_is_extension((__u8)proto) || c->fragment) {
			reason = FFFA_OK;
			break;
		}
	}
	if (size > p->room) return FFFA_TRUNCATED_L4;
	fffa_advance(c, size);
	p->key.proto = (__u8)proto;
	p->headers += size;
	p->room -= size;
	p->l4_at = (__u16)c->offset;
	return reason;
}

FFFA_INLINE int fffa_parse_ipv6(struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	const __u8 *ip = c->at;
	if (ip + 40 > c->end) return FFFA_TRUNCATED_L3;
	if (ip[0] >> 4 != 6) return FFFA_BAD_IP_VERSION;
	const union fffa_addr src = {.words = {fffa_load64(ip + 8), fffa_load64(ip + 16)}};
	const union fffa_addr dst = {.words = {fffa_load64(ip + 24), fffa_load64(ip + 32)}};
	p->key.remote_addr = direction == FFFA_INGRESS ? src : dst;
	p->key.local_addr = direction == FFFA_INGRESS ? dst : src;
	p->key.family = (__u8)fffa_any(6);
	p->key.proto = ip[6];
	p->ecn = ip[1] >> 4 & 3;
	c->fragment = 0;
	const __u32 payload = fffa_be16(ip + 4);
	return fffa_set_length(c, p, 40, payload || ip[6] != FFFA_EXT_HOP_BY_HOP ? payload + 40 : 0);
}

/* The transport header at the cursor, if it is one of almost all. */
FFFA_INLINE void fffa_parse_transport(const struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	p->pending = 0;
	if (fffa_unlikely(c->fragment))
		fffa_set_ports(p, 0, 0, direction);
	else
		fffa_parse_l4(c->at, c->end, p->room, p, direction);
}

/* One IP packet with its transport header. IPv6 extension headers are left pending, and what is neither TCP nor UDP. */
FFFA_INLINE int fffa_parse_ip(struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	int reason = FFFA_NOT_IP;
	fffa_meet(c);
	if (fffa_likely(c->type == FFFA_ETH_IPV4))
		reason = fffa_parse_ipv4(c, p, direction);
	else if (c->type == FFFA_ETH_IPV6)
		reason = fffa_parse_ipv6(c, p, direction);
	if (fffa_unlikely(reason)) return reason;
	fffa_meet(c);
	p->tcp = (__u8)fffa_any(0);
	p->pending = FFFA_PENDING_EXTENSIONS;
	if (fffa_likely(p->key.family == 4 || !fffa_is_extension(p->key.proto))) fffa_parse_transport(c, p, direction);
	return FFFA_OK;
}

/* Whether a packet that cannot be parsed was cut short by the capture. */
FFFA_INLINE int fffa_is_cut(int reason) { return reason == FFFA_TRUNCATED_L2 || reason == FFFA_TRUNCATED_L3; }

#endif
