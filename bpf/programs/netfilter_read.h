/* SPDX-License-Identifier: GPL-2.0 */
/* The tuple of a packet that is on its way through the kernel. */
#ifndef FFFA_PROGRAMS_NETFILTER_READ_H
#define FFFA_PROGRAMS_NETFILTER_READ_H

#include "flow_count.h"
#include "kernel_types.h"
#include "netfilter_maps.h"

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

enum { FFFA_PF_IPV4 = 2, FFFA_PF_IPV6 = 10 };

/* How kernel memory is read (`direct`): by plain loads (bpf_rdonly_cast, kernel 6.2), else by a helper; and what of a
 * packet is not in its linear part by a dynptr (netfilter programs, kernel 6.4), else not at all. */
enum {
	FFFA_BY_HELPER = 0,
	FFFA_PLAIN_LOADS = 1,
	FFFA_BY_DYNPTR = 2,
	FFFA_OUT_OF_LINE = 4, /* in functions that the verifier looks at once: where speed does not matter */
};

#define fffa_kernel_cast(address, type) \
	((const type *)bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)))

/* What of a packet's headers is counted with a verdict. */
struct fffa_measure {
	__u32 bytes; /* as the IP header says */
	__u32 headers;
	__u16 flags; /* as fffa_slot.flags */
};

FFFA_INLINE __u16 fffa_verdict_flags(__u8 tcp_flags)
{
	const int both = (tcp_flags & (FFFA_SYN | FFFA_ACK)) == (FFFA_SYN | FFFA_ACK);
	return (__u16)(tcp_flags | (both ? FFFA_SLOT_SYN_ACK : 0));
}

FFFA_INLINE void fffa_set_tuple(struct fffa_flow_key *key, const union fffa_addr *src, const union fffa_addr *dst,
				__u32 ports, __u32 ifindex, __u8 proto, __u8 family, const int direction)
{
	const __u16 from = __builtin_bswap16((__u16)ports), to = __builtin_bswap16((__u16)(ports >> 16));
	key->remote_addr = direction == FFFA_INGRESS ? *src : *dst;
	key->local_addr = direction == FFFA_INGRESS ? *dst : *src;
	key->remote_port = direction == FFFA_INGRESS ? from : to;
	key->local_port = direction == FFFA_INGRESS ? to : from;
	key->ifindex = ifindex;
	key->proto = proto;
	key->family = family;
	key->encap = FFFA_ENCAP_NONE;
	key->encap_depth = 0;
	key->vni = 0;
}

FFFA_INLINE void fffa_read_words(__u32 *to, const __u8 *from, const int words, const int direct)
{
	if (!(direct & FFFA_PLAIN_LOADS)) {
		bpf_probe_read_kernel(to, (__u32)words * 4, from);
		return;
	}
	/* any struct with a word at a known place will do: loads may not go beyond a member */
	FFFA_UNROLL
	for (int i = 0; i < words; i++) to[i] = fffa_kernel_cast(from + 4 * i - 4, struct tcphdr)->seq;
}

FFFA_INLINE int fffa_read_ip(const __u8 *ip, __u32 left, __u32 *proto, struct fffa_measure *m, union fffa_addr *src,
			     union fffa_addr *dst, const int direct)
{
	__u32 words[10];
	if (left < 20) return 0;
	fffa_read_words(words, ip, 5, direct);
	const __u8 *head = (const __u8 *)words;
	if (head[0] == 0x45) {
		if (fffa_be16(head + 6) & 0x3fff) return 0; /* a fragment */
		*proto = head[9];
		m->bytes = fffa_be16(head + 2);
		m->headers = 20;
		src->words[0] = words[3];
		dst->words[0] = words[4];
		src->words[1] = dst->words[1] = 0;
		return 4;
	}
	if (head[0] >> 4 != 6 || left < 40) return 0;
	fffa_read_words(words + 5, ip + 20, 5, direct);
	*proto = head[6];
	m->bytes = fffa_be16(head + 4) + 40u;
	m->headers = 40;
	src->words[0] = words[2] | (__u64)words[3] << 32;
	src->words[1] = words[4] | (__u64)words[5] << 32;
	dst->words[0] = words[6] | (__u64)words[7] << 32;
	dst->words[1] = words[8] | (__u64)words[9] << 32;
	return 6;
}

FFFA_INLINE int fffa_read_inline(const __u8 *ip, __u32 left, struct fffa_flow_key *key, struct fffa_measure *m,
				 __u32 ifindex, const int direction, const int direct)
{
	union fffa_addr src = {0}, dst = {0};
	__u32 proto = 0, ports = 0, more = 0;
	const int family = fffa_read_ip(ip, left, &proto, m, &src, &dst, direct);
	if (!family || left < m->headers + 8) return 0;
	const __u8 *l4 = ip + m->headers;
	fffa_read_words(&ports, l4, 1, direct);
	m->flags = 0;
	if (proto == FFFA_PROTO_TCP) {
		if (left < m->headers + 20) return 0;
		fffa_read_words(&more, l4 + 12, 1, direct);
		m->flags = fffa_verdict_flags((__u8)(more >> 8));
		m->headers += (more >> 4 & 15) * 4;
	} else if (proto == FFFA_PROTO_UDP) {
		m->headers += 8;
		if (ports >> 16 == __builtin_bswap16(FFFA_GENEVE_PORT) && open_tunnels) return 0;
	} else if (proto == FFFA_PROTO_ICMP || proto == FFFA_PROTO_ICMPV6) {
		m->headers += 4;
		ports <<= 16; /* type and code */
	} else {
		return 0;
	}
	fffa_set_tuple(key, &src, &dst, ports, ifindex, (__u8)proto, (__u8)family, direction);
	return 1;
}

/* The tuple of an IP packet of `left` readable bytes, if it is as almost all are: TCP, UDP or ICMP right behind the IP
 * header. Returns whether it is. A tunnel that is opened elsewhere is not. */
FFFA_INLINE int fffa_read_quickly(const __u8 *ip, __u32 left, struct fffa_flow_key *key, struct fffa_measure *m,
				  __u32 ifindex, const int direction, const int direct)
{
	const int read = fffa_read_inline(ip, left, key, m, ifindex, direction, direct);
	if (!read || !(direct & FFFA_OUT_OF_LINE)) return read;
	/* what was read is any number: ways meet here */
	FFFA_FORGET(m->bytes);
	FFFA_FORGET(m->headers);
	FFFA_FORGET(m->flags);
	FFFA_FORGET(key->family);
	FFFA_FORGET(key->proto);
	return read;
}

FFFA_INLINE const __u8 *fffa_network_header(const struct sk_buff *skb) { return skb->head + skb->network_header; }

/* Bytes from `at` on that need not be gathered from fragments. */
FFFA_INLINE __u32 fffa_linear(const struct sk_buff *skb, const __u8 *at)
{
	const __s64 left = (__s64)((__u64)skb->data + skb->len - skb->data_len - (__u64)at);
	return left > 0 ? (__u32)left : 0;
}

struct fffa_gso {
	__u32 size;
	__u32 segments; /* 0: not known */
};

FFFA_INLINE struct fffa_gso fffa_read_gso(const struct sk_buff *skb, const int direct)
{
	struct fffa_gso gso = {0, 0};
	const __u8 *shared = skb->head + skb->end;
	if (direct & FFFA_PLAIN_LOADS) {
		const struct skb_shared_info *info = fffa_kernel_cast(shared, struct skb_shared_info);
		gso.size = info->gso_size;
		gso.segments = info->gso_segs;
	} else {
		const struct skb_shared_info *info = (const struct skb_shared_info *)shared;
		gso.size = BPF_CORE_READ(info, gso_size);
		gso.segments = BPF_CORE_READ(info, gso_segs);
	}
	return gso;
}

/* How many packets on the wire it stands for, and their bytes. */
FFFA_INLINE void fffa_spread(struct fffa_note *n, const struct fffa_measure *m, struct fffa_gso gso)
{
	__u32 packets = 1;
	if (fffa_unlikely(gso.size)) {
		packets = gso.segments;
		if (!packets && m->bytes > m->headers) packets = (m->bytes - m->headers + gso.size - 1) / gso.size;
		if (!packets) packets = 1;
	}
	n->super = gso.size != 0;
	n->packets = packets;
	n->bytes = m->bytes + (packets - 1) * m->headers;
	n->flags = m->flags;
}

/* ---- translations ---- */

enum {
	FFFA_CT_MASK = 7,      /* skb->_nfct: the connection's address, and in its low bits enum ip_conntrack_info */
	FFFA_CT_REPLY = 3,     /* from here on: of a reply */
	FFFA_CT_NAT = 0x30,    /* IPS_NAT_MASK */
	FFFA_CT_TUPLE_AT = 16, /* in struct nf_conntrack_tuple_hash, behind its list node */
	FFFA_CT_HASH_SIZE = 56,
	FFFA_CT_TUPLE_WORDS =
		10, /* source: 16 bytes of address, port, family; destination: likewise, with the protocol */
};

/* Conntrack's view of a packet: its connection, if it was translated. */
struct fffa_connection {
	const __u8 *ct; /* null: none, or not translated */
	int reply;      /* the packet is one of its replies */
};

FFFA_INLINE struct fffa_connection fffa_translated_connection(const struct sk_buff *skb, const int direct)
{
	struct fffa_connection c = {0, 0};
	__u32 status = 0;
	if (!bpf_core_type_exists(struct nf_conn)) return c;
	const unsigned long nfct = skb->_nfct;
	const __u8 *ct = (const __u8 *)(nfct & ~(unsigned long)FFFA_CT_MASK);
	if (fffa_likely(!ct)) return c;
	fffa_read_words(&status, ct + bpf_core_field_offset(struct nf_conn, status), 1, direct);
	if (fffa_likely(!(status & FFFA_CT_NAT))) return c;
	c.ct = ct;
	c.reply = (nfct & FFFA_CT_MASK) >= FFFA_CT_REPLY;
	return c;
}

struct fffa_ct_tuple {
	union fffa_addr src;
	union fffa_addr dst;
	__u16 src_port;
	__u16 dst_port;
	__u8 proto;
};

/* A packet's tuple before all translations or (`leaving`) behind them: the inverse of the other direction's. */
FFFA_INLINE void fffa_read_ct_tuple(struct fffa_ct_tuple *t, const struct fffa_connection *c, const int leaving,
				    const int direct)
{
	__u32 w[FFFA_CT_TUPLE_WORDS] = {0};
	const __u32 at = c->reply != leaving ? FFFA_CT_HASH_SIZE : 0;
	fffa_read_words(w, c->ct + bpf_core_field_offset(struct nf_conn, tuplehash) + at + FFFA_CT_TUPLE_AT,
			FFFA_CT_TUPLE_WORDS, direct);
	const union fffa_addr first = {.words = {w[0] | (__u64)w[1] << 32, w[2] | (__u64)w[3] << 32}};
	const union fffa_addr second = {.words = {w[5] | (__u64)w[6] << 32, w[7] | (__u64)w[8] << 32}};
	const __u16 first_port = __builtin_bswap16((__u16)w[4]), second_port = __builtin_bswap16((__u16)w[9]);
	t->src = leaving ? second : first;
	t->dst = leaving ? first : second;
	t->src_port = leaving ? second_port : first_port;
	t->dst_port = leaving ? first_port : second_port;
	t->proto = (__u8)(w[9] >> 16);
}

FFFA_INLINE int fffa_same_addr(const union fffa_addr *a, const union fffa_addr *b)
{
	return !((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]));
}

/* Puts into `key`, which holds the packet's present tuple, that before or behind all translations. Ports of ICMP are
 * not translated: only ids are. */
FFFA_INLINE void fffa_translate_inline(const struct fffa_connection *c, struct fffa_flow_key *key, const int leaving,
				       const int direction, const int direct)
{
	struct fffa_ct_tuple t;
	const int icmp = key->proto == FFFA_PROTO_ICMP || key->proto == FFFA_PROTO_ICMPV6;
	fffa_read_ct_tuple(&t, c, leaving, direct);
	if (t.proto != key->proto) {
		struct fffa_ct_tuple from;
		if (!icmp) return;
		/* an ICMP error: of its addresses those are translated that are the connection's */
		fffa_read_ct_tuple(&from, c, !leaving, direct);
		union fffa_addr *src = direction == FFFA_INGRESS ? &key->remote_addr : &key->local_addr;
		union fffa_addr *dst = direction == FFFA_INGRESS ? &key->local_addr : &key->remote_addr;
		if (fffa_same_addr(src, &from.src)) *src = t.src;
		if (fffa_same_addr(dst, &from.dst)) *dst = t.dst;
		return;
	}
	key->remote_addr = direction == FFFA_INGRESS ? t.src : t.dst;
	key->local_addr = direction == FFFA_INGRESS ? t.dst : t.src;
	if (icmp) return;
	key->remote_port = direction == FFFA_INGRESS ? t.src_port : t.dst_port;
	key->local_port = direction == FFFA_INGRESS ? t.dst_port : t.src_port;
}

#define FFFA_TRANSLATE_BY(name, direct) \
	__attribute__((noinline)) int fffa_translate_##name(struct fffa_connection *c, struct fffa_flow_key *key, \
							    int leaving, int direction) \
	{ \
		if (c && key) fffa_translate_inline(c, key, leaving != 0, direction, direct); \
		return 0; \
	}
FFFA_TRANSLATE_BY(plainly, FFFA_PLAIN_LOADS)
FFFA_TRANSLATE_BY(by_helper, FFFA_BY_HELPER)

FFFA_INLINE void fffa_translate(struct fffa_connection *c, struct fffa_flow_key *key, const int leaving,
				const int direction, const int direct)
{
	if (direct & FFFA_PLAIN_LOADS)
		fffa_translate_plainly(c, key, leaving, direction);
	else
		fffa_translate_by_helper(c, key, leaving, direction);
}

/* ---- packets that are not as almost all are: by the flow programs' parser, over a copy ---- */

FFFA_INLINE struct fffa_frame fffa_copy_whole(const struct fffa_scratch *s)
{
	const __u32 captured = s->captured <= FFFA_SCRATCH_BYTES ? s->captured : 0;
	const struct fffa_frame frame = {
		.data = s->data,
		.end = s->data + captured,
		.length = s->length,
		.segments = s->segments,
		.ifindex = s->ifindex,
		.tunnels = open_tunnels,
	};
	return frame;
}

#define FFFA_COPY_STEP(step) \
	__attribute__((noinline)) int fffa_copy_##step(struct fffa_scratch *s) \
	{ \
		if (!s) return 0; \
		const struct fffa_frame frame = fffa_copy_whole(s); \
		fffa_step_##step(&frame, &s->packet, s->packet.direction); \
		return 0; \
	}
FFFA_COPY_STEP(extensions)
FFFA_COPY_STEP(fragment)
FFFA_COPY_STEP(transport)
FFFA_COPY_STEP(tunnel)
FFFA_COPY_STEP(inner)

__attribute__((noinline)) int fffa_copy_begin(struct fffa_scratch *s, int direction)
{
	struct fffa_cursor c;
	if (!s) return FFFA_NOT_IP;
	const struct fffa_frame frame = fffa_copy_whole(s);
	return fffa_parse_outermost(&frame, &c, &s->packet, direction & 1, FFFA_RAW_IP);
}

FFFA_INLINE int fffa_parse_copy(struct fffa_scratch *s, int direction)
{
	const int reason = fffa_copy_begin(s, direction);
	if (reason) return reason;
	FFFA_DO_PENDING(&s->packet, fffa_copy_extensions(s), fffa_copy_fragment(s), fffa_copy_transport(s),
			fffa_copy_tunnel(s), fffa_copy_inner(s), (void)0);
	if (s->packet.fragment == FFFA_FRAGMENT_LATER) fffa_know_later_fragment(&s->packet);
	fffa_finish_packet(&s->packet);
	return FFFA_OK;
}

FFFA_INLINE struct fffa_scratch *fffa_take_scratch(void)
{
	const __u32 cpu = bpf_get_smp_processor_id();
	FFFA_NO_UNROLL
	for (__u32 i = 0; i < FFFA_SCRATCH_TRIES; i++) {
		const __u32 at = (cpu + i * 5) % FFFA_SCRATCHES;
		struct fffa_scratch *s = bpf_map_lookup_elem(&scratches, &at);
		if (s && !FFFA_READ_ONCE(s->held) && !__sync_val_compare_and_swap(&s->held, 0, 1)) return s;
	}
	return 0;
}

#endif
