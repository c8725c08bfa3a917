/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Bytes -> struct fffa_packet. Pure: no maps, no helpers; the same code in the kernel programs and in user space.
 *
 * fffa_parse_first reads what almost every packet consists of. What few have (extension headers, tunnels, TCP options
 * that matter) it leaves pending, for a step of its own each: the kernel programs make these functions that the
 * verifier looks at once, by themselves. fffa_parse_frame and fffa_parse_raw_ip do it all. */
#ifndef FFFA_BPF_PARSE_H
#define FFFA_BPF_PARSE_H

#include "parse_tunnel.h"

/* The cursor at offset `at`, which an earlier step has found. */
FFFA_INLINE struct fffa_cursor fffa_cursor_at(const struct fffa_frame *frame, __u32 at)
{
	const struct fffa_cursor c = {.at = frame->data + at,
				      .end = frame->end,
				      .offset = at,
				      .length = frame->length,
				      .type = 0,
				      .later_fragment = 0};
	return c;
}

FFFA_INLINE void fffa_begin_packet(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	p->key.ifindex = frame->ifindex;
	p->key.encap = FFFA_ENCAP_NONE;
	p->key.encap_depth = 0;
	p->key.vni = 0;
	p->packets = frame->segments;
	p->outer_bytes = 0;
	p->vlan = frame->vlan;
	p->at_sender = frame->at_sender;
	p->direction = (__u8)direction;
	p->tunnels = (__u8)frame->tunnels;
}

/* An Ethernet frame. Returns FFFA_OK or why no flow can be named. */
FFFA_INLINE int fffa_parse_first(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, 0);
	fffa_begin_packet(frame, p, direction);
	int reason = fffa_parse_ethernet(&c, &p->vlan);
	if (fffa_likely(!reason)) reason = fffa_parse_ip(&c, p, direction);
	return reason;
}

/* Each of these does what its bit in p->pending asks for; then others may be pending. */
FFFA_INLINE void fffa_step_extensions(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_LIMIT);
	fffa_set_ports(p, 0, 0, direction);
	p->pending = 0;
	p->note = (__u8)fffa_parse_extensions(&c, p);
	if (!p->note && !c.later_fragment) p->pending = FFFA_PENDING_TRANSPORT;
}

FFFA_INLINE void fffa_step_transport(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	const struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_LIMIT);
	fffa_parse_transport(&c, p, direction);
}

FFFA_INLINE void fffa_step_tunnel(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_LIMIT);
	fffa_open_tunnel(&c, p, direction);
}

FFFA_INLINE void fffa_step_inner(const struct fffa_frame *frame, struct fffa_packet *p, const int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, p->l4_at & FFFA_OFFSET_LIMIT);
	fffa_open_inner(&c, p, direction);
}

FFFA_INLINE void fffa_step_options(const struct fffa_frame *frame, struct fffa_packet *p, int direction)
{
	(void)direction;
	const __u8 *tcp = frame->data + (p->l4_at & FFFA_OFFSET_LIMIT);
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
#define FFFA_DO_PENDING(p, extensions, transport, tunnel, inner, options) \
	do { \
		if ((p)->pending & FFFA_PENDING_EXTENSIONS) extensions; \
		if ((p)->pending & FFFA_PENDING_TRANSPORT) transport; \
		for (int depth = 0; depth < FFFA_TUNNEL_DEPTH && ((p)->pending & FFFA_PENDING_TUNNEL); depth++) { \
			tunnel; \
			if ((p)->pending & FFFA_PENDING_INNER) inner; \
			if ((p)->pending & FFFA_PENDING_EXTENSIONS) extensions; \
			if ((p)->pending & FFFA_PENDING_TRANSPORT) transport; \
		} \
		if ((p)->pending & FFFA_PENDING_OPTIONS) options; \
	} while (0)

FFFA_INLINE int fffa_parse_rest(const struct fffa_frame *frame, struct fffa_packet *p, int reason)
{
	if (reason) {
		p->cut = (__u8)fffa_is_cut(reason);
		return reason;
	}
	const int direction = p->direction;
	FFFA_DO_PENDING(p, fffa_step_extensions(frame, p, direction), fffa_step_transport(frame, p, direction),
			fffa_step_tunnel(frame, p, direction), fffa_step_inner(frame, p, direction),
			fffa_step_options(frame, p, direction));
	fffa_finish_packet(p);
	return FFFA_OK;
}

/* An Ethernet frame, wholly. Returns FFFA_OK or why no flow can be named; then only p->vlan and p->cut are set. */
FFFA_INLINE int fffa_parse_frame(const struct fffa_frame *frame, struct fffa_packet *p, int direction)
{
	return fffa_parse_rest(frame, p, fffa_parse_first(frame, p, direction));
}

/* A packet that begins with its IP header, likewise. */
FFFA_INLINE int fffa_parse_raw_ip(const struct fffa_frame *frame, struct fffa_packet *p, int direction)
{
	struct fffa_cursor c = fffa_cursor_at(frame, 0);
	int reason = FFFA_TRUNCATED_L3;
	fffa_begin_packet(frame, p, direction);
	if (c.at + 1 <= c.end) {
		c.type = c.at[0] >> 4 == 6 ? FFFA_ETH_IPV6 : FFFA_ETH_IPV4;
		reason = fffa_parse_ip(&c, p, direction);
	}
	return fffa_parse_rest(frame, p, reason);
}

#endif
