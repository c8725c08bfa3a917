/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Counting verdicts beside a flow, and reading them out: atomics, no lock. */
#ifndef FFFA_BPF_VERDICT_H
#define FFFA_BPF_VERDICT_H

#include "side.h"

/* Bytes alone are those of a packet that the last read-out took: see fffa_take_verdicts. */
FFFA_INLINE int fffa_has_counts(const struct fffa_verdict_side *v)
{
	return (FFFA_READ_ONCE(v->accepts) | FFFA_READ_ONCE(v->drops) | FFFA_READ_ONCE(v->rejects) |
		FFFA_READ_ONCE(v->queues) | FFFA_READ_ONCE(v->freed) | FFFA_READ_ONCE(v->refused_bytes)) != 0;
}

/* `verdicts` may be null. */
FFFA_INLINE int fffa_has_verdicts(const struct fffa_verdicts *verdicts)
{
	return verdicts && (fffa_has_counts(&verdicts->side[0]) || fffa_has_counts(&verdicts->side[1]));
}

FFFA_INLINE void fffa_set_last(struct fffa_verdict_side *v, enum fffa_verdict verdict, __u32 hook)
{
	const __u16 last = (__u16)((__u32)verdict | hook << 8);
	if (fffa_unlikely(FFFA_READ_ONCE(v->last) != last)) FFFA_WRITE_ONCE(v->last, last);
}

FFFA_INLINE void fffa_count_accept(struct fffa_verdict_side *v, __u32 packets, __u32 hook)
{
	__sync_fetch_and_add(&v->accepts, packets);
	fffa_set_last(v, FFFA_ACCEPT, hook);
}

/* What a refused packet was. */
struct fffa_refusal {
	__u64 now_ns;
	__u32 packets;
	__u32 bytes;
	__u32 hook;
	__u32 reason;  /* enum skb_drop_reason */
	__u32 queued;  /* packets that a hook had queued before */
	__u32 came_in; /* as fffa_verdict_side.came_in */
	__u16 flags;
	__u8 answered; /* this host sent a reset or an ICMP error while it held the packet */
};

/* Once a packet of a flow was answered at a hook, all that are refused there are rejects: the kernel limits how many
 * ICMP errors it sends. */
FFFA_INLINE void fffa_count_refusal(struct fffa_verdict_side *v, const struct fffa_refusal *r)
{
	const __u32 here = 1u << (r->hook & 7);
	if (r->answered && !(FFFA_READ_ONCE(v->answers) & here)) FFFA_WRITE_ONCE(v->answers, v->answers | here);
	const int reject = (FFFA_READ_ONCE(v->answers) & here) != 0;
	if (!FFFA_READ_ONCE(v->refused_first_ns)) FFFA_WRITE_ONCE(v->refused_first_ns, r->now_ns);
	FFFA_WRITE_ONCE(v->refused_last_ns, r->now_ns);
	FFFA_WRITE_ONCE(v->refused_flags, (__u16)(FFFA_READ_ONCE(v->refused_flags) | r->flags));
	__sync_fetch_and_add(&v->refused_bytes, r->bytes);
	if (reject)
		__sync_fetch_and_add(&v->rejects, r->packets);
	else
		__sync_fetch_and_add(&v->drops, r->packets);
	fffa_set_last(v, reject ? FFFA_REJECT : FFFA_DROP, r->hook);
}

FFFA_INLINE void fffa_count_freed(struct fffa_verdict_side *v, __u32 packets, __u32 reason)
{
	FFFA_WRITE_ONCE(v->freed_reason, reason);
	__sync_fetch_and_add(&v->freed, packets);
}

/* A refusal that is under way may leave its times to one read-out and its counts to the next; and of two, the later one
 * may write its times first. */
FFFA_INLINE void fffa_complete_times(struct fffa_verdict_side *taken, __u64 now)
{
	if (!taken->refused_last_ns) taken->refused_last_ns = now;
	if (!taken->refused_first_ns || taken->refused_first_ns > taken->refused_last_ns)
		taken->refused_first_ns = taken->refused_last_ns;
}

FFFA_INLINE void fffa_take_verdict_side(struct fffa_verdict_side *v, struct fffa_verdict_side *into, __u64 now)
{
	into->accepts = __sync_lock_test_and_set(&v->accepts, 0);
	into->drops = __sync_lock_test_and_set(&v->drops, 0);
	into->rejects = __sync_lock_test_and_set(&v->rejects, 0);
	into->queues = __sync_lock_test_and_set(&v->queues, 0);
	into->freed = __sync_lock_test_and_set(&v->freed, 0);
	into->refused_bytes = __sync_lock_test_and_set(&v->refused_bytes, 0);
	into->refused_last_ns = __sync_lock_test_and_set(&v->refused_last_ns, 0);
	into->refused_first_ns = __sync_lock_test_and_set(&v->refused_first_ns, 0);
	into->freed_reason = FFFA_READ_ONCE(v->freed_reason);
	into->refused_flags = FFFA_READ_ONCE(v->refused_flags);
	FFFA_WRITE_ONCE(v->refused_flags, 0);
	into->last = FFFA_READ_ONCE(v->last);
	into->answers = v->answers;
	into->came_in = v->came_in;
	into->looked = 0;
	v->looked = 0;
	if (into->drops | into->rejects | into->refused_bytes) fffa_complete_times(into, now);
}

/* One that is being written meanwhile is none: the next record has it. */
FFFA_INLINE void fffa_take_translation(const struct fffa_translation *t, struct fffa_translation *into)
{
	const __u32 state = FFFA_READ_ONCE(t->state);
	*into = *t;
	if (state != FFFA_TRANSLATED || FFFA_READ_ONCE(t->state) != FFFA_TRANSLATED) into->state = FFFA_NOT_TRANSLATED;
}

/* Moves what was counted into the record. A packet that is being counted meanwhile may be in one of its fields already
 * and in another only the next time: their sums are right. */
FFFA_INLINE void fffa_take_verdicts(struct fffa_verdicts *verdicts, struct fffa_verdicts *into, __u64 now)
{
	fffa_take_verdict_side(&verdicts->side[0], &into->side[0], now);
	fffa_take_verdict_side(&verdicts->side[1], &into->side[1], now);
	fffa_take_translation(&verdicts->translation[0], &into->translation[0]);
	fffa_take_translation(&verdicts->translation[1], &into->translation[1]);
}

#endif
