/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* GENEVE (RFC 8926), and the options that AWS's Gateway Load Balancer puts there. What cannot be opened is reported as
 * the outer flow. */
#ifndef FFFA_BPF_PARSE_TUNNEL_H
#define FFFA_BPF_PARSE_TUNNEL_H

#include "parse_ip.h"

enum {
	FFFA_GENEVE_OPTIONS = 63, /* the most that fit: 252 bytes of 4 */
	FFFA_QUICK_OPTIONS = 4,   /* as many as are walked on the common way; AWS sends three */
	FFFA_GWLB_CLASS = 0x0108,
};

/* What a nested packet overwrites, to be put back where it turns out not to be one. Members have the types of what they
 * save: a word that is read so soon after it was written in pieces would stall. */
struct fffa_level {
	union fffa_addr remote_addr;
	union fffa_addr local_addr;
	__u32 bytes;
	__u32 headers;
	__u16 remote_port;
	__u16 local_port;
	__u16 ip_at;
	__u8 proto;
	__u8 family;
	__u8 ecn;
};

FFFA_INLINE void fffa_read_gwlb(const __u8 *option, __u32 size, const __u8 *end, struct fffa_outer *outer)
{
	const __u8 type = option[2];
	if (type == 3 && size == 8 && option + 8 <= end) {
		outer->gwlb_cookie = fffa_be32(option + 4);
		outer->gwlb |= FFFA_GWLB_COOKIE;
	}
	if (size != 12 || option + 12 > end) return;
	if (type == 1) {
		outer->gwlb_endpoint = fffa_be64(option + 4);
		outer->gwlb |= FFFA_GWLB_ENDPOINT;
	} else if (type == 2) {
		outer->gwlb_attachment = fffa_be64(option + 4);
		outer->gwlb |= FFFA_GWLB_ATTACHMENT;
	}
}

/* A walk over `length` bytes of options. */
struct fffa_options {
	const __u8 *begin;
	const __u8 *end; /* of the frame */
	struct fffa_outer *outer;
	__u32 length;
	__u32 at; /* beyond `length`: an option overruns */
	int outermost;
};

/* Reads the next option. Returns 1 if it was the last, or there is none. */
FFFA_INLINE long fffa_read_option_at(struct fffa_options *o)
{
	__u32 at = o->at;
	FFFA_FORGET(at);
	if (at + 4 > o->length || at > 252) return 1;
	/* said once more where it is used: kernel 6.1 does not see that a copy from the stack is what was compared */
	__u32 here = at;
	FFFA_OPAQUE(here);
	const __u8 *option = o->begin + (here & 0xff);
	o->at = o->length + 1;
	if (option + 4 > o->end) return 1;
	const __u32 size = 4 + (option[3] & 0x1f) * 4u;
	/* apart from `size`, of which the verifier learns more on each way through what follows */
	at += size;
	FFFA_OPAQUE(at);
	if (at > o->length) return 1;
	if (fffa_be16(option) == FFFA_GWLB_CLASS && o->outermost) fffa_read_gwlb(option, size, o->end, o->outer);
	o->at = at;
	return 0;
}

FFFA_NOINLINE long fffa_read_option_once(__u32 i, struct fffa_options *o)
{
	(void)i;
	return fffa_read_option_at(o);
}

/* Walks over `length` bytes of options, which must fill that space exactly; over the first few only, if `quick`. What
 * stands in them counts in the outermost tunnel only: whoever sends through that one could put another into it, with
 * ids made up. */
FFFA_INLINE int fffa_parse_geneve_options(const struct fffa_cursor *c, __u32 length, struct fffa_packet *p,
					  const int quick)
{
	struct fffa_options options = {.begin = c->at,
				       .end = c->end,
				       .outer = &p->outer,
				       .length = length,
				       .at = 0,
				       .outermost = quick || !p->key.encap};
	if (quick) {
		FFFA_NO_UNROLL
		for (int i = 0; i < FFFA_QUICK_OPTIONS; i++)
			if (fffa_read_option_at(&options)) break;
	} else {
		FFFA_REPEAT(FFFA_GENEVE_OPTIONS, fffa_read_option_once, &options);
	}
	return options.at == length ? FFFA_OK : FFFA_BAD_TUNNEL;
}

FFFA_INLINE void fffa_begin_outer(struct fffa_outer *outer)
{
	outer->gwlb = 0;
	outer->gwlb_cookie = 0;
	outer->gwlb_endpoint = 0;
	outer->gwlb_attachment = 0;
}

/* What is known of the outermost packet. Small fields are written as the words that they are read as soon after. */
FFFA_INLINE void fffa_set_outer(struct fffa_packet *p, const int direction)
{
	const int in = direction == FFFA_INGRESS;
	struct fffa_outer *outer = &p->outer;
	__u64 gwlb = outer->gwlb, cookie = outer->gwlb_cookie;
	__u64 src_port = in ? p->key.remote_port : p->key.local_port,
	      dst_port = in ? p->key.local_port : p->key.remote_port;
	FFFA_OPAQUE(gwlb);
	FFFA_OPAQUE(cookie);
	FFFA_OPAQUE(src_port);
	FFFA_OPAQUE(dst_port);
	outer->src = in ? p->key.remote_addr : p->key.local_addr;
	outer->dst = in ? p->key.local_addr : p->key.remote_addr;
	fffa_store64(&outer->src_port, src_port | dst_port << 16 | (__u64)p->key.family << 32 | gwlb << 40);
	fffa_store64(&outer->gwlb_cookie, cookie | (__u64)p->inner_vni << 32);
	p->outer_bytes = p->bytes;
	p->outer_at = p->ip_at;
}

/* Reads the tunnel header behind the UDP header at the cursor, which is left at what is inside. `quick`: that of few
 * options. */
FFFA_INLINE int fffa_parse_geneve(struct fffa_cursor *c, struct fffa_packet *p, const int quick)
{
	fffa_advance(c, 8);
	const __u8 *geneve = c->at;
	if (p->room < 16 || geneve + 8 > c->end || geneve[0] >> 6) return FFFA_BAD_TUNNEL;
	const __u32 length = (geneve[0] & 0x3f) * 4u;
	if (length + 16 > p->room) return FFFA_BAD_TUNNEL;
	p->inner_type = fffa_be16(geneve + 2);
	p->inner_vni = fffa_be32(geneve + 4) >> 8;
	fffa_advance(c, 8);
	if (length && fffa_parse_geneve_options(c, length, p, quick)) return FFFA_BAD_TUNNEL;
	fffa_advance(c, length);
	return c->offset > FFFA_OFFSET_LIMIT ? FFFA_BAD_TUNNEL : FFFA_OK;
}

/* Opens the tunnel whose UDP header the cursor stands at; what is inside is left pending. */
FFFA_INLINE void fffa_open_tunnel(struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	p->pending = 0;
	if (!p->key.encap) fffa_begin_outer(&p->outer);
	if (fffa_parse_geneve(c, p, 0)) {
		fffa_note(p, FFFA_BAD_TUNNEL);
		p->cut |= c->at + 8 > c->end;
		return;
	}
	p->pending = FFFA_PENDING_INNER;
	p->l4_at = (__u16)c->offset;
	if (!p->key.encap) fffa_set_outer(p, direction);
}

FFFA_INLINE int fffa_parse_inner_packet(struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	__u16 inner_vlan = FFFA_VLAN_PRESENT; /* not wanted */
	c->type = p->inner_type;
	if (c->type == FFFA_ETH_BRIDGED) {
		const int reason = fffa_parse_ethernet(c, &inner_vlan);
		if (reason) return reason;
	}
	return fffa_parse_ip(c, p, direction);
}

FFFA_INLINE void fffa_restore(struct fffa_packet *p, const struct fffa_level *level)
{
	p->key.remote_addr = level->remote_addr;
	p->key.local_addr = level->local_addr;
	p->bytes = level->bytes;
	p->headers = level->headers;
	p->key.remote_port = level->remote_port;
	p->key.local_port = level->local_port;
	p->ip_at = level->ip_at;
	p->key.proto = level->proto;
	p->key.family = level->family;
	p->ecn = level->ecn;
	p->tcp = 0;
	p->pending = 0;
	if (!p->key.encap) p->outer_bytes = 0;
}

/* The packet in the tunnel, at the cursor. Where there is none that can be parsed, the outer packet stays what it was.
 */
FFFA_INLINE void fffa_open_inner(struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	const struct fffa_level level = {.remote_addr = p->key.remote_addr,
					 .local_addr = p->key.local_addr,
					 .bytes = p->bytes,
					 .headers = p->headers,
					 .remote_port = p->key.remote_port,
					 .local_port = p->key.local_port,
					 .ip_at = p->ip_at,
					 .proto = p->key.proto,
					 .family = p->key.family,
					 .ecn = p->ecn};
	const int reason = fffa_parse_inner_packet(c, p, direction);
	if (fffa_likely(!reason)) {
		if (!p->key.encap) {
			p->outer_fragment = p->fragment;
			p->outer_fragment_id = p->fragment_id;
			p->outer_datagram_proto = p->datagram_proto;
		}
		p->fragment = 0;
		p->key.encap = FFFA_ENCAP_GENEVE;
		p->key.encap_depth++;
		p->key.vni = p->inner_vni;
		return;
	}
	fffa_restore(p, &level);
	p->cut = (__u8)fffa_is_cut(reason);
	if (reason != FFFA_NOT_IP) fffa_note(p, FFFA_BAD_TUNNEL);
}

/* The tunnel at the cursor as almost all are: few options, and a whole IP packet inside. Returns whether it was opened;
 * if not, nothing is left of the outer packet. */
FFFA_INLINE int fffa_open_quickly(struct fffa_cursor *c, struct fffa_packet *p, const int direction)
{
	fffa_begin_outer(&p->outer);
	if (fffa_parse_geneve(c, p, 1)) return 0;
	fffa_set_outer(p, direction);
	if (fffa_parse_inner_packet(c, p, direction)) return 0;
	p->key.encap = (__u8)fffa_any(FFFA_ENCAP_GENEVE);
	p->key.encap_depth = (__u8)fffa_any(1);
	p->key.vni = p->inner_vni;
	return 1;
}

#endif
