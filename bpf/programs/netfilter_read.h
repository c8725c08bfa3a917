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
enum { FFFA_BY_HELPER = 0, FFFA_PLAIN_LOADS = 1, FFFA_BY_DYNPTR = 2 };

#define fffa_kernel_cast(address, type) ((const type *)bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)))

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

/* The tuple of an IP packet of `left` readable bytes, if it is as almost all are: TCP, UDP or ICMP right behind the IP
 * header. Returns whether it is. A tunnel that is opened elsewhere is not. */
FFFA_INLINE int fffa_read_quickly(const __u8 *ip, __u32 left, struct fffa_flow_key *key, struct fffa_measure *m,
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
	FFFA_CT_TUPLE_WORDS = 10, /* source: 16 bytes of address, port, family; destination: likewise, with the protocol */
};

/* Where conntrack has translated this packet's connection: its tuple before (`leaving` 0) or behind all translations,
 * into `key`, which holds the packet's present one. Ports of ICMP are not translated: only ids are. */
FFFA_INLINE int fffa_untranslate(const struct sk_buff *skb, struct fffa_flow_key *key, const int leaving,
				 const int direction, const int direct)
{
	__u32 status = 0, t[FFFA_CT_TUPLE_WORDS];
	union fffa_addr src, dst;
	if (!bpf_core_type_exists(struct nf_conn)) return 0;
	const unsigned long nfct = skb->_nfct;
	const __u8 *ct = (const __u8 *)(nfct & ~(unsigned long)FFFA_CT_MASK);
	if (fffa_likely(!ct)) return 0;
	fffa_read_words(&status, ct + bpf_core_field_offset(struct nf_conn, status), 1, direct);
	if (fffa_likely(!(status & FFFA_CT_NAT))) return 0;
	const int reply = (nfct & FFFA_CT_MASK) >= FFFA_CT_REPLY;
	const __u32 at = reply != leaving ? FFFA_CT_HASH_SIZE : 0; /* leaving: the inverse of the other direction's */
	fffa_read_words(t, ct + bpf_core_field_offset(struct nf_conn, tuplehash) + at + FFFA_CT_TUPLE_AT,
			FFFA_CT_TUPLE_WORDS, direct);
	if ((__u8)(t[9] >> 16) != key->proto) return 0; /* an ICMP error about it */
	src.words[0] = t[0] | (__u64)t[1] << 32;
	src.words[1] = t[2] | (__u64)t[3] << 32;
	dst.words[0] = t[5] | (__u64)t[6] << 32;
	dst.words[1] = t[7] | (__u64)t[8] << 32;
	const int remote_is_src = (direction == FFFA_INGRESS) != leaving;
	key->remote_addr = remote_is_src ? src : dst;
	key->local_addr = remote_is_src ? dst : src;
	if (key->proto == FFFA_PROTO_ICMP || key->proto == FFFA_PROTO_ICMPV6) return 1;
	const __u16 from = __builtin_bswap16((__u16)t[4]), to = __builtin_bswap16((__u16)t[9]);
	key->remote_port = remote_is_src ? from : to;
	key->local_port = remote_is_src ? to : from;
	return 1;
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
