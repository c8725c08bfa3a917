/* SPDX-License-Identifier: GPL-2.0 */
/* Whose flow a verdict is about, and what is known of its translation. */
#ifndef FFFA_PROGRAMS_NETFILTER_FLOW_H
#define FFFA_PROGRAMS_NETFILTER_FLOW_H

#include "netfilter_note.h"

/* ---- flows ---- */

/* The interface's entry; null if it is not monitored. */
FFFA_INLINE const struct fffa_monitored *fffa_monitored_at(__u32 ifindex)
{
	if (!ifindex) return 0;
	FFFA_NO_UNROLL
	for (__u32 i = 0; i < FFFA_MONITORED_TRIES; i++) {
		const struct fffa_monitored *m = &monitored[(ifindex + i) % FFFA_INTERFACES];
		if (m->ifindex == ifindex) return m;
		if (!m->ifindex) return 0;
	}
	return 0;
}

/* The interface, if flows of its packets in that direction get verdicts; else 0. */
FFFA_INLINE __u32 fffa_if_monitored(__u32 ifindex, const int direction)
{
	const struct fffa_monitored *m = fffa_monitored_at(ifindex);
	return m && m->directions >> direction & 1 ? ifindex : 0;
}

FFFA_INLINE void fffa_count_unattributed(enum fffa_unattributed why, __u32 packets)
{
	__sync_fetch_and_add(&unattributed[why], packets);
}

/* Finds or makes the flow of `key`: its index, or minus an enum fffa_reason. */
__attribute__((noinline)) int fffa_verdict_insert(struct fffa_flow_key *key, int direction)
{
	if (!key) return -FFFA_TABLE_FULL;
	return fffa_table_insert(FFFA_TABLE, key, direction & 1);
}

/* The flow's index, or -1. */
FFFA_INLINE int fffa_known_flow(const struct fffa_flow_key *key)
{
	const __u32 place = fffa_table_find(FFFA_TABLE, key), index = place - 1;
	const struct fffa_flow *f = place ? bpf_map_lookup_elem(&flows, &index) : 0;
	return f && fffa_has_key(f, key) ? (int)index : -1;
}

__attribute__((noinline)) int fffa_look_up(struct fffa_flow_key *key) { return key ? fffa_known_flow(key) : -1; }

FFFA_INLINE struct fffa_verdicts *fffa_verdicts_of(struct fffa_flow_key *key, __u32 packets, const int direction)
{
	int known = fffa_known_flow(key);
	/* what comes in was counted before, and has its flow; what leaves, or never does, may be the first to be seen
	 */
	if (fffa_unlikely(known < 0) && direction == FFFA_EGRESS) known = fffa_verdict_insert(key, direction);
	if (fffa_unlikely(known < 0)) {
		fffa_count_unattributed(FFFA_NO_ROOM, packets);
		return 0;
	}
	const __u32 index = (__u32)known;
	return bpf_map_lookup_elem(&verdict_table, &index);
}

/* ---- translations ---- */

/* Two keys have the same addresses and ports; `flipped`: one as packets come in, the other as they leave. */
FFFA_INLINE int fffa_same_tuple(const struct fffa_flow_key *a, const struct fffa_flow_key *b, const int flipped)
{
	const union fffa_addr *remote = flipped ? &b->local_addr : &b->remote_addr;
	const union fffa_addr *local = flipped ? &b->remote_addr : &b->local_addr;
	const __u16 remote_port = flipped ? b->local_port : b->remote_port;
	const __u16 local_port = flipped ? b->remote_port : b->local_port;
	__u64 difference = (a->remote_addr.words[0] ^ remote->words[0]) | (a->remote_addr.words[1] ^ remote->words[1]) |
			   (a->local_addr.words[0] ^ local->words[0]) | (a->local_addr.words[1] ^ local->words[1]) |
			   (__u64)(a->remote_port ^ remote_port) | (__u64)(a->local_port ^ local_port);
	return !difference;
}

/* `other`: the tuple on the other side of the translation, as seen in `direction`. */
FFFA_INLINE void fffa_set_translation(struct fffa_translation *t, const struct fffa_flow_key *other,
				      const int direction, __u32 ifindex)
{
	const union fffa_addr src = direction == FFFA_INGRESS ? other->remote_addr : other->local_addr;
	const union fffa_addr dst = direction == FFFA_INGRESS ? other->local_addr : other->remote_addr;
	const __u16 src_port = direction == FFFA_INGRESS ? other->remote_port : other->local_port;
	const __u16 dst_port = direction == FFFA_INGRESS ? other->local_port : other->remote_port;
	const __u32 state = FFFA_READ_ONCE(t->state);
	if (state == FFFA_TRANSLATION_HELD) return;
	if (state == FFFA_TRANSLATED && t->ifindex == ifindex && t->src_port == src_port && t->dst_port == dst_port &&
	    fffa_same_addr(&t->src, &src) && fffa_same_addr(&t->dst, &dst))
		return;
	if (__sync_val_compare_and_swap(&t->state, state, FFFA_TRANSLATION_HELD) != state) return;
	t->src = src;
	t->dst = dst;
	t->src_port = src_port;
	t->dst_port = dst_port;
	t->ifindex = ifindex;
	__sync_lock_test_and_set(&t->state, FFFA_TRANSLATED);
}

/* ---- where a packet was refused, if it was not noted ---- */

enum {
	FFFA_DST_NOREF = 1,          /* in skb->_skb_refdst */
	FFFA_DST_METADATA = 0x0080,  /* of a tunnel: no route */
	FFFA_RT_LOCAL = 0x80000000,  /* RTCF_LOCAL, RTF_LOCAL */
	FFFA_RT_ANYCAST = 0x00100000 /* RTF_ANYCAST */
};

/* By its route: it has none before it was routed, and which way it goes afterwards. */
FFFA_INLINE __u32 fffa_hook_by_route(const struct sk_buff *skb, const int direct)
{
	__u32 flags, input, first = 0;
	const unsigned long refdst = skb->_skb_refdst & ~(unsigned long)FFFA_DST_NOREF;
	const __u32 came_in = (__u32)skb->skb_iif, at = skb->dev ? (__u32)skb->dev->ifindex : 0;
	if (!(direct & FFFA_PLAIN_LOADS) || !refdst) return FFFA_PRE_ROUTING;
	const struct rtable *route = fffa_kernel_cast(refdst, struct rtable);
	if (route->dst.flags & FFFA_DST_METADATA) return FFFA_PRE_ROUTING;
	if (skb->protocol == __builtin_bswap16(FFFA_ETH_IPV4)) {
		flags = route->rt_flags;
		input = route->rt_is_input;
	} else {
		flags = fffa_kernel_cast(refdst, struct rt6_info)->rt6i_flags;
		input = came_in != 0;
		fffa_read_words(&first, fffa_network_header(skb) + 24, 1, direct);
		if ((__u8)first == 0xff || flags & FFFA_RT_ANYCAST) flags |= FFFA_RT_LOCAL;
	}
	if (came_in && flags & FFFA_RT_LOCAL) return FFFA_LOCAL_IN;
	if (input) return at == came_in ? FFFA_FORWARD : FFFA_POST_ROUTING;
	return at ? FFFA_POST_ROUTING : FFFA_LOCAL_OUT;
}

/* The interface that its route leads to. */
FFFA_INLINE __u32 fffa_routed_to(const struct sk_buff *skb, const int direct)
{
	const unsigned long refdst = skb->_skb_refdst & ~(unsigned long)FFFA_DST_NOREF;
	if (!(direct & FFFA_PLAIN_LOADS) || !refdst) return 0;
	const struct net_device *dev = fffa_kernel_cast(refdst, struct rtable)->dst.dev;
	return dev ? (__u32)dev->ifindex : 0;
}

#endif
