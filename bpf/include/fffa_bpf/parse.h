/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Bytes -> struct fffa_packet. Pure: no maps, no helpers; the same code in the kernel programs and in user space.
 *
 * fffa_parse_quick reads what almost every packet consists of, and the tunnels that almost all are. What few have
 * (extension headers, fragments, tunnels in tunnels, TCP options that matter) it leaves pending, for a step of its own
 * each: the kernel programs make these functions that the verifier looks at once, by themselves. fffa_parse_frame and
 * fffa_parse_raw_ip do it all. */
#ifndef FFFA_BPF_PARSE_H
#define FFFA_BPF_PARSE_H

#include "parse_tunnel.h"

/* The cursor at offset `at`, which an earlier step has found. */
FFFA_INLINE struct fffa_cursor fffa_cursor_at(const struct fffa_frame *frame, __u32 at)
{
	const struct fffa_cursor c = {.begin = frame->data,
				      .at = frame->data + at,
				      .end = frame->end,
				      .offset = at,
				      .length = frame->length,
				      .type = 0,
				      .fragment = 0};
	return c;
}

FFFA_INLINE void fffa_begin_packet(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	p->key.ifindex = frame->ifindex;
	p->key.encap = (__u8)fffa_any(FFFA_ENCAP_NONE);
	p->key.encap_depth = (__u8)fffa_any(0);
	p->key.vni = fffa_any(0);
	p->packets = frame->segments;
	p->outer_bytes = fffa_any(0);
	p->note = (__u8)fffa_any(FFFA_OK);
	p->vlan = (__u16)fffa_any(frame->vlan);
	p->at_sender = frame->at_sender;
	p->direction = (__u8)direction;
	p->tunnels = (__u8)frame->tunnels;
}

/* How a frame begins. */
enum fffa_link { FFFA_ETHERNET, FFFA_RAW_IP };

/* The outermost packet: Ethernet and IP. Returns FFFA_OK or why no flow can be named; the cursor is left behind the IP
 * header. */
FFFA_INLINE int fffa_parse_outermost(const struct fffa_frame *frame, struct fffa_cursor *c, struct fffa_packet *p,
				     const int direction, const enum fffa_link link)
{
	int reason = FFFA_OK;
	*c = fffa_cursor_at(frame, 0);
	fffa_begin_packet(frame, p, direction);
	if (link == FFFA_ETHERNET)
		reason = fffa_parse_ethernet(c, &p->vlan);
	else if (c->at + 1 > c->end)
		reason = FFFA_TRUNCATED_L3;
	else
		c->type = c->at[0] >> 4 == 6 ? FFFA_ETH_IPV6 : FFFA_ETH_IPV4;
	return fffa_likely(!reason) ? fffa_parse_ip(c, p, direction) : reason;
}

/* The beginning of an Ethernet frame's way by steps, for one that is not as almost all are. */
FFFA_INLINE int fffa_parse_first(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c;
	return fffa_parse_outermost(frame, &c, p, direction, FFFA_ETHERNET);
}

/* A packet and the first tunnel in it, as almost all are. Returns FFFA_OK or why no flow can be named. */
FFFA_INLINE int fffa_parse_quick(const struct fffa_frame *frame, struct fffa_packet *p, const int direction,
				 const enum fffa_link link)
{
	struct fffa_cursor c;
	const int reason = fffa_parse_outermost(frame, &c, p, direction, link);
	if (fffa_unlikely(reason)) return reason;
	if (p->pending == FFFA_PENDING_TUNNEL && !fffa_open_quickly(&c, p, direction)) p->pending = FFFA_PENDING_ALL;
	return FFFA_OK;
}

/* Each of these does what its bit in p->pending asks for; then others may be pending. */
FFFA_INLINE void fffa_step_extensions(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_MASK);
	fffa_set_ports(p, 0, 0, direction);
	p->pending = 0;
	const int reason = fffa_parse_extensions(&c, p);
	if (reason)
		fffa_note(p, (__u8)reason);
	else if (!c.fragment)
		p->pending = FFFA_PENDING_TRANSPORT;
}

FFFA_INLINE void fffa_step_fragment(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	const __u8 *ip = frame->data + (p->ip_at & FFFA_OFFSET_MASK);
	fffa_set_ports(p, 0, 0, direction);
	p->pending = 0;
	if (ip + 20 > frame->end) return;
	fffa_set_fragment(p, fffa_be16(ip + 6) & 0x1fff, fffa_be16(ip + 4), p->key.proto);
	if (p->fragment == FFFA_FRAGMENT_FIRST) p->pending = FFFA_PENDING_TRANSPORT;
}

FFFA_INLINE void fffa_step_transport(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	const struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_MASK);
	fffa_parse_transport(&c, p, direction);
	if (p->pending == FFFA_PENDING_TRANSPORT) {
		p->pending = 0;
		fffa_parse_other_l4(c.at, c.end, p->room, p, direction);
	}
}

FFFA_INLINE void fffa_step_tunnel(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_MASK);
	fffa_open_tunnel(&c, p, direction);
}

FFFA_INLINE void fffa_step_inner(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_MASK);
	fffa_open_inner(&c, p, direction);
}

FFFA_INLINE void fffa_step_options(const struct fffa_frame *frame, struct fffa_packet *p, int direction)
{
	(void)direction;
	const __u8 *tcp = frame->data + (p->l4_at & FFFA_OFFSET_MASK);
	p->pending = 0;
	fffa_parse_options(tcp, frame->end, p->headers - (p->l4_at - p->ip_at), p);
}

/* The last of all: every packet on the wire that a super-packet stands for has all the headers. */
FFFA_INLINE void fffa_finish_packet(struct fffa_packet *p)
{
	if (fffa_likely(p->packets <= 1)) return;
	p->bytes += (p->packets - 1) * p->headers;
	if (p->key.encap) p->outer_bytes += (p->packets - 1) * (p->ip_at - p->outer_at + p->headers);
}

/* The order of the steps, each given as an expression. */
#define FFFA_DO_PENDING(p, extensions, fragment_of, transport, tunnel, inner, options) \
	do { \
		(p)->fragment = (p)->outer_fragment = 0; \
		if ((p)->pending & FFFA_PENDING_EXTENSIONS) extensions; \
		if ((p)->pending & FFFA_PENDING_FRAGMENT) fragment_of; \
		if ((p)->pending & FFFA_PENDING_TRANSPORT) transport; \
		for (int i = 0; i < FFFA_TUNNEL_DEPTH; i++) { \
			if (!((p)->pending & FFFA_PENDING_TUNNEL) || (p)->key.encap_depth >= FFFA_TUNNEL_DEPTH) break; \
			tunnel; \
			if ((p)->pending & FFFA_PENDING_INNER) inner; \
			if ((p)->pending & FFFA_PENDING_EXTENSIONS) extensions; \
			if ((p)->pending & FFFA_PENDING_FRAGMENT) fragment_of; \
			if ((p)->pending & FFFA_PENDING_TRANSPORT) transport; \
		} \
		if ((p)->pending & FFFA_PENDING_OPTIONS) options; \
	} while (0)

/* All of it. Returns FFFA_OK or why no flow can be named; then only p->vlan and p->cut are set. */
FFFA_INLINE int fffa_parse_all(const struct fffa_frame *frame, struct fffa_packet *p, int direction,
			       const enum fffa_link link)
{
	struct fffa_cursor c;
	int reason = fffa_parse_quick(frame, p, direction, link);
	if (fffa_unlikely(!reason && p->pending == FFFA_PENDING_ALL))
		reason = fffa_parse_outermost(frame, &c, p, direction, link);
	if (reason) {
		p->cut = (__u8)fffa_is_cut(reason);
		return reason;
	}
	FFFA_DO_PENDING(p, fffa_step_extensions(frame, p, direction), fffa_step_fragment(frame, p, direction),
			fffa_step_transport(frame, p, direction), fffa_step_tunnel(frame, p, direction),
			fffa_step_inner(frame, p, direction), fffa_step_options(frame, p, direction));
	fffa_finish_packet(p);
	return FFFA_OK;
}

/* An Ethernet frame. */
FFFA_INLINE int fffa_parse_frame(const struct fffa_frame *frame, struct fffa_packet *p, int direction)
{
	return fffa_parse_all(frame, p, direction, FFFA_ETHERNET);
}

/* A packet that begins with its IP header. */
FFFA_INLINE int fffa_parse_raw_ip(const struct fffa_frame *frame, struct fffa_packet *p, int direction)
{
	return fffa_parse_all(frame, p, direction, FFFA_RAW_IP);
}

#endif
