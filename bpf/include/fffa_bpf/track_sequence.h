/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* TCP sequence space of one direction: what is new, what was skipped, what is sent again. Sequence arithmetic is modulo
 * 2^32. */
#ifndef FFFA_BPF_TRACK_SEQUENCE_H
#define FFFA_BPF_TRACK_SEQUENCE_H

#include "packet.h"
#include "parse_l4.h"

#define FFFA_REORDER_NS \
	3000000u /* how late a segment may come to be called reordered, where the handshake was not seen */
#define FFFA_MIN_RTO_NS 200000000u /* no sender times out sooner */

FFFA_INLINE __u32 fffa_tick(__u64 ns) { return (__u32)(ns >> FFFA_TICK_SHIFT); }
FFFA_INLINE __u32 fffa_rtt_time(__u64 ns) { return (__u32)(ns >> FFFA_RTT_SHIFT); }
FFFA_INLINE __s32 fffa_seq_diff(__u32 a, __u32 b) { return (__s32)(a - b); }

/* One direction and its peer while a packet is tracked: `d` sends it. */
struct fffa_sides {
	struct fffa_half *d;
	struct fffa_half *r;
	struct fffa_slot *slot;      /* d's */
	struct fffa_slot *peer_slot; /* r's */
};

FFFA_INLINE struct fffa_sides fffa_sides_of(struct fffa_flow *f, const int direction)
{
	const struct fffa_sides sides = {.d = &f->half[direction],
					 .r = &f->half[!direction],
					 .slot = &f->slot[direction],
					 .peer_slot = &f->slot[!direction]};
	return sides;
}

/* Takes [seq, end) out of one hole. A cut in the middle keeps the lower part and forgets the upper one if there is no
 * place for it. */
FFFA_INLINE void fffa_fill_hole(struct fffa_half *d, struct fffa_hole *hole, __u32 seq, __u32 end)
{
	const int from_start = fffa_seq_diff(seq, hole->start) <= 0, to_end = fffa_seq_diff(end, hole->end) >= 0;
	if (from_start && to_end) {
		hole->start = hole->end = 0;
	} else if (from_start) {
		hole->start = end;
	} else if (to_end) {
		hole->end = seq;
	} else {
		const __u32 upper = hole->end;
		hole->end = seq;
		FFFA_NO_UNROLL
		for (int i = 0; i < FFFA_HOLES; i++) {
			struct fffa_hole *free_place = &d->holes[i];
			if (free_place->start != free_place->end) continue;
			free_place->start = end;
			free_place->end = upper;
			free_place->opened = hole->opened;
			break;
		}
	}
}

/* Fills what holes [seq, end) touches. Returns how many bytes of them, and when the latest was opened. */
FFFA_NOINLINE __u32 fffa_fill_holes(struct fffa_half *d, __u32 seq, __u32 end, __u32 *opened)
{
	__u32 filled = 0;
	int open = 0;
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_HOLES; i++) {
		struct fffa_hole *hole = &d->holes[i];
		if (hole->start == hole->end) continue;
		if (fffa_seq_diff(end, hole->start) > 0 && fffa_seq_diff(seq, hole->end) < 0) {
			const __u32 from = fffa_seq_diff(seq, hole->start) > 0 ? seq : hole->start;
			const __u32 to = fffa_seq_diff(end, hole->end) < 0 ? end : hole->end;
			if (!filled || fffa_seq_diff(hole->opened, *opened) > 0) *opened = hole->opened;
			filled += to - from;
			fffa_fill_hole(d, hole, seq, end);
		}
		open |= hole->start != hole->end;
	}
	if (!open) d->seen &= (__u16)~FFFA_SEEN_HOLE;
	return filled;
}

/* Remembers that [d->next_seq, seq) was skipped; with no place left, in that of a hole which the peer has acknowledged,
 * else of the oldest. */
FFFA_NOINLINE void fffa_open_hole(struct fffa_half *d, const struct fffa_half *r, __u32 seq, __u32 tick)
{
	__u32 best_age = 0;
	int best = 0;
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_HOLES; i++) {
		const struct fffa_hole *hole = &d->holes[i];
		__u32 age = (tick - hole->opened) >> 2;
		if (hole->start == hole->end)
			age = 0xffffffff;
		else if ((r->seen & FFFA_SEEN_ACK) && fffa_seq_diff(hole->end, r->last_ack) <= 0)
			age |= 0x80000000;
		if (age >= best_age) {
			best_age = age;
			best = i;
		}
	}
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_HOLES; i++) {
		if (i != best) continue;
		d->holes[i].start = d->next_seq;
		d->holes[i].end = seq;
		d->holes[i].opened = tick;
	}
	d->seen |= FFFA_SEEN_HOLE;
}

/* A segment that fills a hole: late by reordering, or sent again because it was lost? */
FFFA_INLINE int fffa_is_reordered(const struct fffa_flow *f, const struct fffa_sides *s, const struct fffa_packet *p,
				  __u32 opened)
{
	if (p->at_sender) return 0;
	const __u32 now = fffa_tick(p->time_ns);
	const __u32 limit_us = f->handshake_us ? f->handshake_us : FFFA_REORDER_NS / 1000;
	if ((__u64)(now - opened) << FFFA_TICK_SHIFT >= (__u64)limit_us * 1000) return 0;
	if (s->r->dup_run < 3) return 1;
	/* could the third duplicate ACK have reached the sender, and its answer come back here? */
	const __u32 answer = s->r->rtt_min >> (FFFA_TICK_SHIFT - FFFA_RTT_SHIFT);
	return fffa_seq_diff(now - s->r->third_dup_tick, answer) < 0;
}

/* Did the sender's timer fire, or did it learn of the loss from its peer? After a timeout it sends the rest again as
 * acknowledgements come in, without another silence. */
FFFA_INLINE int fffa_is_timeout(const struct fffa_sides *s, const struct fffa_packet *p)
{
	if (p->flags & FFFA_SYN) return 1;
	const __u32 rtt_to_tick = FFFA_TICK_SHIFT - FFFA_RTT_SHIFT;
	const __u64 estimate = ((__u64)s->d->srtt + 4 * (__u64)s->d->rttvar) >> rtt_to_tick;
	const __u32 least = FFFA_MIN_RTO_NS >> FFFA_TICK_SHIFT;
	const __u64 timeout = estimate > least ? estimate : least;
	const __u32 now = fffa_tick(p->time_ns);
	if (now - s->d->sent_tick < timeout) return (s->d->seen & FFFA_SEEN_TIMED_OUT) && !s->r->dup_run;
	return !s->r->dup_run || now - fffa_tick(s->r->last_ns) >= timeout;
}

/* Keep-alives and window probes repeat the last byte. (Those that send none take up no sequence space.) */
FFFA_INLINE int fffa_is_probe(const struct fffa_sides *s, const struct fffa_packet *p)
{
	if (p->payload != 1 || (p->flags & (FFFA_SYN | FFFA_FIN)) || p->seq != s->d->next_seq - 1) return 0;
	return (s->r->seen & FFFA_SEEN_ACK) && (!s->r->last_window || s->r->last_ack == s->d->next_seq);
}

/* What a segment sent again, or late, is counted as. */
enum fffa_old_kind { FFFA_OLD_PROBE, FFFA_OLD_REORDERED, FFFA_OLD_TIMEOUT, FFFA_OLD_FAST, FFFA_OLD_SPURIOUS = 4 };

FFFA_INLINE void fffa_count_old(struct fffa_slot *slot, __u32 kind, __u32 segments)
{
	const __u32 counter = kind & 3;
	if (counter == FFFA_OLD_REORDERED) slot->out_of_order += segments;
	if (counter == FFFA_OLD_TIMEOUT) slot->timeout_retransmits += segments;
	if (counter == FFFA_OLD_FAST) slot->fast_retransmits += segments;
	if (kind & FFFA_OLD_SPURIOUS) slot->spurious_retransmits += segments;
}

/* How many of the segments that a super-packet stands for begin below the highest sequence number sent. */
FFFA_INLINE __u32 fffa_old_segments(const struct fffa_half *d, const struct fffa_packet *p)
{
	const __u32 old = d->next_seq - p->seq;
	if (old >= p->payload) return p->packets;
	/* the last one may be short: at most so long are the others, and less than one segment is missing to any of
	 * them */
	const __u32 size = (p->payload - 1) / (p->packets - 1);
	const __u32 segments = size ? (old + size - 1) / size : p->packets; /* 0: no super-packet is like that */
	return segments < p->packets ? segments : p->packets;
}

/* Apart, because few packets are like that and the verifier would follow what each of them may be. */
FFFA_NOINLINE void fffa_count_old_super(struct fffa_slot *slot, __u32 kind, const struct fffa_half *d,
					const struct fffa_packet *p)
{
	fffa_count_old(slot, kind, fffa_old_segments(d, p));
}

/* What a segment is that begins below the highest sequence number sent: enum fffa_old_kind. */
FFFA_INLINE __u32 fffa_judge_old_segment(struct fffa_flow *f, const struct fffa_sides *s, const struct fffa_packet *p,
					 __u32 end)
{
	struct fffa_half *d = s->d;
	__u32 opened = 0;
	const __u32 filled = d->seen & FFFA_SEEN_HOLE ? fffa_fill_holes(d, p->seq, end, &opened) : 0;
	const __u32 old = (fffa_seq_diff(end, d->next_seq) < 0 ? end : d->next_seq) - p->seq;
	/* Karn: what answers from here on may answer either copy, or cover what waited for this one */
	d->seen &= (__u16)~FFFA_SEEN_RTT;
	if (filled == old && fffa_is_reordered(f, s, p, opened)) return FFFA_OLD_REORDERED;
	if (!filled && fffa_is_probe(s, p)) {
		d->seen |= FFFA_SEEN_KEEP_ALIVE;
		return FFFA_OLD_PROBE;
	}
	const int spurious = (s->r->seen & FFFA_SEEN_ACK) && fffa_seq_diff(end, s->r->last_ack) <= 0;
	const __u32 kind = spurious ? FFFA_OLD_SPURIOUS : 0;
	if (!fffa_is_timeout(s, p)) return kind | FFFA_OLD_FAST;
	d->seen |= FFFA_SEEN_TIMED_OUT;
	return kind | FFFA_OLD_TIMEOUT;
}

FFFA_INLINE void fffa_track_old_segment(struct fffa_flow *f, const struct fffa_sides *s, const struct fffa_packet *p,
					__u32 end)
{
	struct fffa_half *d = s->d;
	__u32 kind = fffa_judge_old_segment(f, s, p, end);
	FFFA_FORGET(kind);
	if (fffa_likely(p->packets <= 1))
		fffa_count_old(s->slot, kind, 1);
	else
		fffa_count_old_super(s->slot, kind, d, p);
	if (fffa_seq_diff(end, d->next_seq) > 0) {
		d->next_seq = end;
		d->seen &= (__u16)~FFFA_SEEN_NEWEST;
	}
}

/* A segment that takes up sequence space: `length` is payload, SYN and FIN. */
FFFA_INLINE void fffa_track_segment(struct fffa_flow *f, const struct fffa_sides *s, const struct fffa_packet *p,
				    __u32 length)
{
	struct fffa_half *d = s->d;
	const __u32 end = p->seq + length;
	const __s32 ahead = fffa_seq_diff(p->seq, d->next_seq);
	if (fffa_unlikely(!(d->seen & FFFA_SEEN_SEQUENCE))) {
		d->seen |= FFFA_SEEN_SEQUENCE | FFFA_SEEN_NEWEST;
		d->next_seq = end;
		d->newest_sent = fffa_rtt_time(p->time_ns);
	} else if (fffa_likely(ahead >= 0)) {
		if (fffa_unlikely(ahead > 0)) fffa_open_hole(d, s->r, p->seq, fffa_tick(p->time_ns));
		d->next_seq = end;
		d->newest_sent = fffa_rtt_time(p->time_ns);
		d->seen = (__u16)((d->seen & ~(FFFA_SEEN_KEEP_ALIVE | FFFA_SEEN_TIMED_OUT)) | FFFA_SEEN_NEWEST);
	} else {
		fffa_track_old_segment(f, s, p, end);
	}
	d->sent_tick = fffa_tick(p->time_ns);
}

#endif
