/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What a TCP header says to the other side: acknowledgements (round trips, duplicates), and the receive window. */
#ifndef FFFA_BPF_TRACK_ACK_H
#define FFFA_BPF_TRACK_ACK_H

#include "track_sequence.h"

#define FFFA_RTT_LIMIT_NS 17000000000ull /* half of what 32 bits of rtt units can tell apart */

/* A round trip of one of r's segments. */
FFFA_INLINE void fffa_add_rtt(struct fffa_half *r, struct fffa_slot *slot, __u32 units)
{
	if (!slot->rtt_samples || units < slot->rtt_min) slot->rtt_min = units;
	if (units > slot->rtt_max) slot->rtt_max = units;
	slot->rtt_samples++;
	slot->rtt_sum_ns += (__u64)units << FFFA_RTT_SHIFT;
	if (!r->rtt_min || units < r->rtt_min) r->rtt_min = units ? units : 1;
	if (fffa_unlikely(!r->srtt)) {
		r->srtt = units ? units : 1;
		r->rttvar = units / 2;
		return;
	}
	const __s32 error = (__s32)(units - r->srtt);
	const __s32 deviation = error < 0 ? -error : error;
	r->srtt += (__u32)(error >> 3);
	r->rttvar += (__u32)((deviation - (__s32)r->rttvar) >> 2);
}

/* RFC 5681: a pure ACK that repeats the last one while data is outstanding (which cannot be known, and is taken for
 * granted, where the peer was never seen); or one with a new SACK block. */
FFFA_INLINE int fffa_is_duplicate_ack(const struct fffa_sides *s, const struct fffa_packet *p, __u32 length)
{
	if (length || (p->flags & (FFFA_SYN | FFFA_FIN | FFFA_RST))) return 0;
	/* the block that answers a keep-alive reports its byte as a duplicate (RFC 2883), and no hole */
	if (p->sack && p->sack != s->d->last_sack) return !(s->r->seen & FFFA_SEEN_KEEP_ALIVE);
	if (p->window != s->d->last_window) return 0;
	return !(s->r->seen & FFFA_SEEN_SEQUENCE) || fffa_seq_diff(s->r->next_seq, p->ack) > 0;
}

FFFA_INLINE void fffa_count_duplicate_ack(const struct fffa_sides *s, const struct fffa_packet *p)
{
	struct fffa_half *d = s->d;
	s->slot->duplicate_acks++;
	if (d->dup_run < 255) d->dup_run++;
	if (d->dup_run == 3) d->third_dup_tick = fffa_tick(p->time_ns);
}

/* The peer's segments that this acknowledgement may be the answer to are two: the newest one, and the probe, which was
 * the newest one at an earlier acknowledgement. Only an ACK of a segment's very end tells when it arrived: one that
 * covers more answers a later one. */
FFFA_INLINE void fffa_track_rtt(const struct fffa_sides *s, const struct fffa_packet *p)
{
	struct fffa_half *r = s->r;
	const __u32 now = fffa_rtt_time(p->time_ns);
	/* times are 32 bits: what was sent too long ago, or (by another CPU's clock) after this, is not measured */
	if (fffa_unlikely(p->time_ns - r->last_ns > FFFA_RTT_LIMIT_NS ||
			  fffa_tick(p->time_ns) - r->sent_tick > FFFA_RTT_LIMIT_NS >> FFFA_TICK_SHIFT)) {
		r->seen &= (__u16)~FFFA_SEEN_RTT;
		return;
	}
	if ((r->seen & FFFA_SEEN_NEWEST) && p->ack == r->next_seq) {
		fffa_add_rtt(r, s->peer_slot, now - r->newest_sent);
		r->seen &= (__u16)~FFFA_SEEN_RTT;
		return;
	}
	if (r->seen & FFFA_SEEN_PROBE) {
		const __s32 beyond = fffa_seq_diff(p->ack, r->probe_end);
		const int in_time = p->time_ns - s->d->last_ns <= FFFA_RTT_LIMIT_NS && /* since it was looked at last */
				    now - r->probe_sent <= FFFA_RTT_LIMIT_NS >> FFFA_RTT_SHIFT;
		if (beyond < 0 && in_time) return;
		if (!beyond && in_time) fffa_add_rtt(r, s->peer_slot, now - r->probe_sent);
		r->seen &= (__u16)~FFFA_SEEN_PROBE;
	}
	if (r->seen & FFFA_SEEN_NEWEST) {
		r->probe_end = r->next_seq;
		r->probe_sent = r->newest_sent;
		r->seen |= FFFA_SEEN_PROBE;
	}
}

FFFA_INLINE void fffa_track_ack(struct fffa_flow *f, const struct fffa_sides *s, const struct fffa_packet *p,
				__u32 length)
{
	struct fffa_half *d = s->d, *r = s->r;
	const __u32 ack = p->ack;
	if (r->seen & FFFA_SEEN_RTT) fffa_track_rtt(s, p);
	if (fffa_unlikely(!(d->seen & FFFA_SEEN_ACK))) {
		d->seen |= FFFA_SEEN_ACK;
		d->last_ack = ack;
	} else if (ack == d->last_ack) {
		if (fffa_is_duplicate_ack(s, p, length)) fffa_count_duplicate_ack(s, p);
	} else if (fffa_seq_diff(ack, d->last_ack) > 0) {
		d->last_ack = ack;
		d->dup_run = 0;
	}
	if (fffa_unlikely(!f->handshake_us) && f->syn_ns && (d->seen & FFFA_SEEN_SYN) &&
	    (r->seen & FFFA_SEEN_ANY_SYN) && !(p->flags & (FFFA_SYN | FFFA_RST)) && ack == r->initial_seq + 1) {
		const __u64 ns = p->time_ns > f->syn_ns ? p->time_ns - f->syn_ns : 0;
		const __u64 us = ns / 1000;
		f->handshake_us = us > 0xffffffff ? 0xffffffff : us ? (__u32)us : 1;
	}
	if (!length) d->last_sack = p->sack; /* of data, the options were not read */
}

/* A SYN's window is never scaled, an RST's says nothing. */
FFFA_INLINE void fffa_track_window(const struct fffa_sides *s, const struct fffa_packet *p)
{
	struct fffa_slot *slot = s->slot;
	__u32 window = p->window;
	if (fffa_unlikely(p->flags & FFFA_RST)) return;
	if (fffa_likely(!(p->flags & FFFA_SYN))) window <<= s->d->scale & 15;
	if (!(slot->flags & FFFA_SLOT_WINDOW) || window < slot->window_min) slot->window_min = window;
	if (window > slot->window_max) slot->window_max = window;
	slot->window_last = window;
	slot->flags |= FFFA_SLOT_WINDOW;
	if (fffa_unlikely(!window)) slot->zero_windows += p->packets;
	s->d->last_window = p->window;
}

#endif
