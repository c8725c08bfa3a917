/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The flow table: an array of flows, and buckets of {tag, index} through which a key finds its flow.
 *
 * A key has two candidate buckets; an entry goes into the emptier one. Lookups take no lock: they trust nothing but the
 * key, compared under the flow's own lock. Insertions of one key are ordered by the lock of its first bucket. Only the
 * (one) reader deletes. Free entries are a stack, linked through fffa_flow.handshake_us; its head carries a count, so
 * that a reused entry is noticed.
 *
 * Whoever includes this defines struct fffa_table, and before that:
 *   fffa_table_flow(t, index), fffa_table_bucket(t, index)   pointers, null if there is none such
 *   fffa_begin_side(t, index)   clears what stands beside a flow that begins
 *   fffa_state_of(t), fffa_table_entries(t), fffa_table_bucket_mask(t), fffa_table_seed(t, i)
 * Entries: any number. Buckets: fffa_bucket_count(entries), a power of two. */
#ifndef FFFA_BPF_TABLE_H
#define FFFA_BPF_TABLE_H

#include "hash.h"
#include "lock.h"
#include "track.h"

#define FFFA_STACK_TRIES 1024

struct fffa_table;
FFFA_INLINE struct fffa_flow *fffa_table_flow(struct fffa_table *t, __u32 index);
FFFA_INLINE struct fffa_bucket *fffa_table_bucket(struct fffa_table *t, __u32 index);
FFFA_INLINE void fffa_begin_side(struct fffa_table *t, __u32 index);
FFFA_INLINE struct fffa_table_state *fffa_state_of(struct fffa_table *t);
FFFA_INLINE __u32 fffa_table_entries(struct fffa_table *t);
FFFA_INLINE __u32 fffa_table_bucket_mask(struct fffa_table *t);
FFFA_INLINE __u32 fffa_table_seed(struct fffa_table *t, int i);

FFFA_INLINE int fffa_same_key(const struct fffa_flow_key *a, const struct fffa_flow_key *b)
{
	const __u8 *x = (const __u8 *)a, *y = (const __u8 *)b;
	__u64 difference = 0;
	FFFA_UNROLL
	for (int i = 0; i < 48; i += 8) difference |= fffa_load64(x + i) ^ fffa_load64(y + i);
	return !difference;
}

/* The two buckets and the tag of a key. */
struct fffa_address {
	__u32 first;
	__u32 second;
	__u32 tag; /* never 0 */
};

FFFA_INLINE struct fffa_address fffa_locate(struct fffa_table *t, const struct fffa_flow_key *key)
{
	__u64 hash = 0;
	FFFA_UNROLL
	for (int i = 0; i < 6; i++) {
		const __u64 word = fffa_load64((const __u8 *)key + 8 * i);
		hash += fffa_hash_word(word, fffa_table_seed(t, 2 * i), fffa_table_seed(t, 2 * i + 1));
	}
	hash = fffa_hash_end(hash);
	struct fffa_address at;
	const __u32 mask = fffa_table_bucket_mask(t);
	at.tag = (__u32)(hash >> 32) | 1;
	at.first = (__u32)hash & mask;
	at.second = (at.first ^ at.tag * 0x5bd1e995u) & mask;
	return at;
}

/* Index of the flow whose tag is in this bucket, plus one; 0: none. */
FFFA_INLINE __u32 fffa_find_tag(struct fffa_bucket *bucket, __u32 tag)
{
	FFFA_UNROLL
	for (int i = 0; i < FFFA_BUCKET_PLACES; i++)
		if (FFFA_READ_ONCE(bucket->places[i].to.tag) == tag) return FFFA_READ_ONCE(bucket->places[i].to.index);
	return 0;
}

/* The flow that a key most probably has: its key must be compared under its lock. Index plus one; 0: there is none. */
FFFA_INLINE __u32 fffa_table_find(struct fffa_table *t, const struct fffa_flow_key *key)
{
	const struct fffa_address at = fffa_locate(t, key);
	struct fffa_bucket *bucket = fffa_table_bucket(t, at.first);
	__u32 place = bucket ? fffa_find_tag(bucket, at.tag) : 0;
	if (fffa_unlikely(!place)) {
		bucket = fffa_table_bucket(t, at.second);
		place = bucket ? fffa_find_tag(bucket, at.tag) : 0;
	}
	return place;
}

FFFA_RACY int fffa_has_key(const struct fffa_flow *f, const struct fffa_flow_key *key)
{
	return fffa_same_key(&f->key, key);
}
FFFA_RACY __u32 fffa_next_free(const struct fffa_flow *f) { return f->handshake_us; }

FFFA_INLINE __u32 fffa_find_key(struct fffa_table *t, struct fffa_bucket *bucket, __u32 tag,
				const struct fffa_flow_key *key)
{
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_BUCKET_PLACES; i++) {
		if (FFFA_READ_ONCE(bucket->places[i].to.tag) != tag) continue;
		const __u32 place = FFFA_READ_ONCE(bucket->places[i].to.index);
		const struct fffa_flow *f = fffa_table_flow(t, place - 1);
		if (f && fffa_has_key(f, key)) return place;
	}
	return 0;
}

struct fffa_stack_change {
	struct fffa_table *t;
	__u32 place; /* taken, or to be given back */
	int done;
};

FFFA_NOINLINE long fffa_pop_once(__u32 i, struct fffa_stack_change *change)
{
	struct fffa_table_state *state = fffa_state_of(change->t);
	const __u64 head = FFFA_READ_ONCE(state->free_head);
	const struct fffa_flow *f = (__u32)head ? fffa_table_flow(change->t, (__u32)head - 1) : 0;
	(void)i;
	if (!f) return 1;
	const __u64 next = ((head >> 32) + 1) << 32 | fffa_next_free(f);
	if (__sync_val_compare_and_swap(&state->free_head, head, next) != head) return 0;
	change->place = (__u32)head;
	return 1;
}

/* A free entry's index plus one; 0: the table is full. */
FFFA_INLINE __u32 fffa_take_free(struct fffa_table *t)
{
	struct fffa_table_state *state = fffa_state_of(t);
	const __u32 entries = fffa_table_entries(t);
	struct fffa_stack_change change = {t, 0, 0};
	FFFA_REPEAT(FFFA_STACK_TRIES, fffa_pop_once, &change);
	if (change.place) return change.place;
	if (FFFA_READ_ONCE(state->next_index) >= entries) return 0;
	const __u32 index = __sync_fetch_and_add(&state->next_index, 1);
	return index < entries ? index + 1 : 0;
}

FFFA_NOINLINE long fffa_push_once(__u32 i, struct fffa_stack_change *change)
{
	struct fffa_table_state *state = fffa_state_of(change->t);
	struct fffa_flow *f = fffa_table_flow(change->t, change->place - 1);
	const __u64 head = FFFA_READ_ONCE(state->free_head);
	(void)i;
	if (!f) return 1;
	FFFA_WRITE_ONCE(f->handshake_us, (__u32)head);
	const __u64 next = ((head >> 32) + 1) << 32 | change->place;
	change->done = __sync_val_compare_and_swap(&state->free_head, head, next) == head;
	return change->done;
}

/* Returns whether the entry (index plus one) is back on the stack; only endless contention can prevent it. */
FFFA_INLINE int fffa_give_back(struct fffa_table *t, __u32 place)
{
	struct fffa_stack_change change = {t, place, 0};
	FFFA_REPEAT(FFFA_STACK_TRIES, fffa_push_once, &change);
	return change.done;
}

FFFA_INLINE int fffa_put_in(struct fffa_bucket *bucket, __u64 word)
{
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_BUCKET_PLACES; i++)
		if (!FFFA_READ_ONCE(bucket->places[i].word) &&
		    !__sync_val_compare_and_swap(&bucket->places[i].word, 0, word))
			return 1;
	return 0;
}

FFFA_INLINE __u64 fffa_count_used(const struct fffa_bucket *bucket)
{
	__u64 used = 0;
	FFFA_UNROLL
	for (int i = 0; i < FFFA_BUCKET_PLACES; i++) {
		__u64 word = FFFA_READ_ONCE(bucket->places[i].word);
		word |= 0 - word;  /* the highest bit: is it anything but 0? */
		FFFA_OPAQUE(word); /* clang would make branches of it, and the verifier follow them all */
		used += word >> 63;
	}
	return used;
}

/* Makes a new flow for `key` findable in one of its buckets. Returns its place, 0 if there is no room. */
FFFA_INLINE __u32 fffa_publish(struct fffa_table *t, struct fffa_bucket *first, struct fffa_bucket *second, __u32 tag,
			       const struct fffa_flow_key *key, int direction, int *busy)
{
	const __u32 place = fffa_take_free(t);
	struct fffa_flow *f = place ? fffa_table_flow(t, place - 1) : 0;
	if (!f) return 0;
	if (!fffa_lock(&f->lock)) { /* someone who found it before it was deleted has it still */
		*busy = 1;
		fffa_give_back(t, place);
		return 0;
	}
	fffa_begin_flow(f, direction);
	fffa_begin_side(t, place - 1);
	f->key = *key;
	/* locked until a bucket names it: else the reader may delete it first, and the word would outlive its flow */
	const __u64 word = (__u64)tag << 32 | place;
	const int prefer_second = fffa_count_used(second) < fffa_count_used(first);
	int found_room = fffa_put_in(prefer_second ? second : first, word);
	if (!found_room) found_room = fffa_put_in(prefer_second ? first : second, word);
	if (!found_room) f->key.family = 0;
	fffa_unlock(&f->lock);
	if (found_room) return place;
	fffa_give_back(t, place);
	return 0;
}

/* Finds or makes the flow of `key`, whose first packet came in `direction`. Returns its index, or minus an enum
 * fffa_reason. */
FFFA_INLINE int fffa_table_insert(struct fffa_table *t, const struct fffa_flow_key *key, int direction)
{
	const struct fffa_address at = fffa_locate(t, key);
	struct fffa_bucket *first = fffa_table_bucket(t, at.first), *second = fffa_table_bucket(t, at.second);
	int busy = 0;
	if (!first || !second) return -FFFA_TABLE_FULL;
	if (!fffa_lock(&first->lock)) return -FFFA_LOCK_BUSY;
	__u32 place = fffa_find_key(t, first, at.tag, key);
	if (!place) place = fffa_find_key(t, second, at.tag, key);
	if (!place) place = fffa_publish(t, first, second, at.tag, key, direction, &busy);
	fffa_unlock(&first->lock);
	if (place) return (int)(place - 1);
	return busy ? -FFFA_LOCK_BUSY : -FFFA_TABLE_FULL;
}

FFFA_INLINE int fffa_take_out(struct fffa_bucket *bucket, __u64 word)
{
	FFFA_UNROLL
	for (int i = 0; i < FFFA_BUCKET_PLACES; i++) {
		if (FFFA_READ_ONCE(bucket->places[i].word) != word) continue;
		FFFA_WRITE_ONCE(bucket->places[i].word, 0);
		return 1;
	}
	return 0;
}

/* Forgets the flow at `index`, whose key was `key` and has been marked as unused under its lock. The reader only. */
FFFA_INLINE void fffa_table_remove(struct fffa_table *t, __u32 index, const struct fffa_flow_key *key)
{
	const struct fffa_address at = fffa_locate(t, key);
	const __u64 word = (__u64)at.tag << 32 | (index + 1);
	struct fffa_bucket *bucket = fffa_table_bucket(t, at.first);
	if (bucket && !fffa_take_out(bucket, word)) {
		bucket = fffa_table_bucket(t, at.second);
		if (bucket) fffa_take_out(bucket, word);
	}
	fffa_give_back(t, index + 1);
}

#endif
