/* SPDX-License-Identifier: GPL-2.0 */
/* Whose flow a verdict is about, and what is known of its translation. */
#ifndef FFFA_PROGRAMS_NETFILTER_FLOW_H
#define FFFA_PROGRAMS_NETFILTER_FLOW_H

#include "netfilter_note.h"

/* ---- flows ---- */

/* Under whose flows a packet of this interface counts; 0: nobody's. */
FFFA_INLINE __u32 fffa_monitored_as(__u32 ifindex, const int direction)
{
	if (!ifindex) return 0;
	FFFA_NO_UNROLL
	for (__u32 i = 0; i < FFFA_MONITORED_TRIES; i++) {
		const struct fffa_monitored *m = &monitored[(ifindex + i) % FFFA_INTERFACES];
		if (m->ifindex == ifindex) return m->directions >> direction & 1 ? m->as_ifindex : 0;
		if (!m->ifindex) return 0;
	}
	return 0;
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

/* Two keys name the same packets: `in` as they came in or were sent (`local`), `out` as they are sent. */
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
	    !((t->src.words[0] ^ src.words[0]) | (t->src.words[1] ^ src.words[1]) | (t->dst.words[0] ^ dst.words[0]) |
	      (t->dst.words[1] ^ dst.words[1])))
		return;
	if (__sync_val_compare_and_swap(&t->state, state, FFFA_TRANSLATION_HELD) != state) return;
	t->src = src;
	t->dst = dst;
	t->src_port = src_port;
	t->dst_port = dst_port;
	t->ifindex = ifindex;
	__sync_lock_test_and_set(&t->state, FFFA_TRANSLATED);
}

#endif
