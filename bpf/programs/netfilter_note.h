/* SPDX-License-Identifier: GPL-2.0 */
/* Notes on packets that are on their way through the hooks: found by the packet's address. */
#ifndef FFFA_PROGRAMS_NETFILTER_NOTE_H
#define FFFA_PROGRAMS_NETFILTER_NOTE_H

#include "netfilter_read.h"

/* A pointer's value as a number: the verifier lets pointers be subtracted, and nothing else. */
FFFA_INLINE __u64 fffa_address(const void *pointer) { return (__u64)pointer - (__u64)&table_state; }

/* A packet's note, and the word that says so. */
struct fffa_noted {
	struct fffa_note *note;
	__u64 *word;
	__u64 packet; /* fffa_address() */
	__u32 index;  /* of the note */
};

FFFA_INLINE struct fffa_note_set *fffa_note_set_of(__u64 packet, __u32 *set)
{
	*set = (__u32)((packet >> 6) * 0x9e3779b97f4a7c15ull >> 54) % FFFA_NOTE_SETS;
	return bpf_map_lookup_elem(&note_sets, set);
}

FFFA_INLINE struct fffa_noted fffa_noted_at(struct fffa_note_set *s, __u32 set, int way, __u64 packet)
{
	const __u32 place = (__u32)way & (FFFA_NOTE_WAYS - 1), index = set * FFFA_NOTE_WAYS + place;
	const struct fffa_noted found = {bpf_map_lookup_elem(&notes, &index), &s->packet[place], packet, index};
	return found;
}

FFFA_INLINE int fffa_way_of(const struct fffa_note_set *s, __u64 packet)
{
	FFFA_UNROLL
	for (int way = 0; way < FFFA_NOTE_WAYS; way++)
		if ((FFFA_READ_ONCE(s->packet[way]) & ~(__u64)FFFA_STAGE_MASK) == packet) return way;
	return -1;
}

FFFA_INLINE struct fffa_noted fffa_find_note(const struct sk_buff *skb)
{
	const struct fffa_noted none = {0, 0, 0, 0};
	const __u64 packet = fffa_address(skb);
	__u32 set;
	struct fffa_note_set *s = fffa_note_set_of(packet, &set);
	const int way = s ? fffa_way_of(s, packet) : -1;
	return way < 0 ? none : fffa_noted_at(s, set, way, packet);
}

/* The way whose packet was seen longest ago: all of the set are taken. */
FFFA_NOINLINE int fffa_oldest_way(__u32 set)
{
	__u32 oldest = 0, most = 0;
	const __u32 now = (__u32)bpf_jiffies64();
	FFFA_NO_UNROLL
	for (__u32 way = 0; way < FFFA_NOTE_WAYS; way++) {
		const __u32 index = set * FFFA_NOTE_WAYS + way;
		const struct fffa_note *n = bpf_map_lookup_elem(&notes, &index);
		if (!n || now - n->jiffies < most) continue;
		most = now - n->jiffies;
		oldest = way;
	}
	/* what was not looked at for so long has gone another way than through the hooks */
	if (most < FFFA_NOTE_STALE) __sync_fetch_and_add(&unattributed[FFFA_NOTE_LOST], 1);
	return (int)oldest;
}

/* Without plain loads a packet's route cannot be followed: notes are needed. */
FFFA_INLINE int fffa_noting(const int direct) { return !(direct & FFFA_PLAIN_LOADS) || take_notes == FFFA_NOTES_TAKEN; }

/* The packet's note, made if there is none. */
FFFA_INLINE struct fffa_noted fffa_make_note(const struct sk_buff *skb)
{
	const struct fffa_noted none = {0, 0, 0, 0};
	const __u64 packet = fffa_address(skb);
	__u32 set;
	struct fffa_note_set *s = fffa_note_set_of(packet, &set);
	if (!s) return none;
	int way = fffa_way_of(s, packet);
	if (way >= 0) return fffa_noted_at(s, set, way, packet);
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_NOTE_WAYS; i++) {
		if (FFFA_READ_ONCE(s->packet[i]) || __sync_val_compare_and_swap(&s->packet[i], 0, packet)) continue;
		way = i;
		break;
	}
	if (fffa_unlikely(way < 0)) {
		way = fffa_oldest_way(set) & (FFFA_NOTE_WAYS - 1);
		const __u64 old = FFFA_READ_ONCE(s->packet[way]);
		/* two packets must not think that a note is theirs */
		if (__sync_val_compare_and_swap(&s->packet[way], old, packet) != old) return none;
	}
	struct fffa_noted made = fffa_noted_at(s, set, way, packet);
	if (made.note) made.note->known = 0;
	return made;
}

FFFA_INLINE void fffa_set_stage(struct fffa_noted at, enum fffa_stage stage)
{
	FFFA_WRITE_ONCE(*at.word, at.packet | stage);
}

FFFA_INLINE void fffa_forget_note(struct fffa_noted at)
{
	at.note->known = 0;
	at.note->hook = FFFA_NO_HOOK;
	FFFA_WRITE_ONCE(*at.word, 0);
}

FFFA_INLINE void fffa_forget_packet(const struct sk_buff *skb)
{
	const struct fffa_noted at = fffa_find_note(skb);
	if (at.note) fffa_forget_note(at);
}

#endif
