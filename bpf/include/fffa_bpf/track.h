/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* struct fffa_packet + struct fffa_flow -> struct fffa_flow. Pure: no maps, no helpers; the caller holds the flow's
 * lock. */
#ifndef FFFA_BPF_TRACK_H
#define FFFA_BPF_TRACK_H

#include "track_ack.h"

#define FFFA_JITTER_PAUSE_NS 1000000000u /* a longer pause starts afresh */

FFFA_INLINE int fffa_has_ended(const struct fffa_flow *f)
{
	const __u16 both = f->half[0].seen & f->half[1].seen, any = f->half[0].seen | f->half[1].seen;
	return ((both & FFFA_SEEN_FIN) | (any & FFFA_SEEN_RST)) != 0;
}

/* The shift that both SYNs agreed on, FFFA_NO_SCALE where they were not both seen. */
FFFA_INLINE __u8 fffa_window_scale(const struct fffa_flow *f, int direction)
{
	if (!(f->half[0].seen & FFFA_SEEN_ANY_SYN) || !(f->half[1].seen & FFFA_SEEN_ANY_SYN)) return FFFA_NO_SCALE;
	return f->half[direction].scale & 15;
}

FFFA_INLINE void fffa_track_jitter(struct fffa_half *d, struct fffa_slot *slot, __u64 now)
{
	const __u64 interval = now > d->last_ns ? now - d->last_ns : 0;
	if (fffa_unlikely(interval > FFFA_JITTER_PAUSE_NS || !d->last_ns)) {
		d->seen &= (__u16)~FFFA_SEEN_INTERVAL;
		return;
	}
	if (d->seen & FFFA_SEEN_INTERVAL) {
		const __s32 change = (__s32)((__u32)interval - d->last_interval_ns);
		const __u32 jitter = (__u32)(change < 0 ? -change : change);
		slot->jitter_sum_ns += jitter;
		slot->jitter_samples++;
		if (jitter > slot->jitter_max_ns) slot->jitter_max_ns = jitter;
	}
	d->last_interval_ns = (__u32)interval;
	d->seen |= FFFA_SEEN_INTERVAL;
}

/* A new connection under an old tuple: only the times of the last packets are kept. */
FFFA_INLINE void fffa_restart_half(struct fffa_half *h)
{
	const __u64 last_ns = h->last_ns;
	const __u32 last_interval_ns = h->last_interval_ns;
	const __u16 seen = h->seen & FFFA_SEEN_INTERVAL;
	__builtin_memset(h, 0, sizeof *h);
	h->last_ns = last_ns;
	h->last_interval_ns = last_interval_ns;
	h->seen = seen;
	h->scale = FFFA_NO_OFFER << 4;
}

/* Puts the agreed window scale in force, or none. */
FFFA_INLINE void fffa_agree_scale(struct fffa_half *d, struct fffa_half *r)
{
	const int both = d->scale >> 4 != FFFA_NO_OFFER && r->scale >> 4 != FFFA_NO_OFFER;
	d->scale = (__u8)((d->scale & 0xf0) | (both ? d->scale >> 4 : 0));
	r->scale = (__u8)((r->scale & 0xf0) | (both ? r->scale >> 4 : 0));
}

/* A SYN, with or without ACK. It begins a connection if this direction has not sent it before, or the last connection
 * has ended. Returns whether it takes up sequence space: in a simultaneous open, the SYN that now carries an ACK has
 * done so already. */
FFFA_INLINE int fffa_track_syn(struct fffa_flow *f, const struct fffa_sides *s, const struct fffa_packet *p)
{
	struct fffa_half *d = s->d, *r = s->r;
	const int opens = !(p->flags & FFFA_ACK);
	const int known = d->seen & FFFA_SEEN_ANY_SYN;
	if (known && d->initial_seq == p->seq && !(opens && fffa_has_ended(f))) {
		const int simultaneous = !opens && !(d->seen & FFFA_SEEN_SYN_ACK);
		d->seen |= opens ? FFFA_SEEN_SYN : FFFA_SEEN_SYN_ACK;
		return !simultaneous;
	}
	/* a first SYN that meets the other side's is a simultaneous open, not another connection */
	if (opens && (known || fffa_has_ended(f) ||
		      (r->seen & (FFFA_SEEN_ACK | FFFA_SEEN_DATA | FFFA_SEEN_FIN | FFFA_SEEN_RST)))) {
		fffa_restart_half(r);
		f->handshake_us = 0;
		f->syn_ns = 0;
	}
	fffa_restart_half(d);
	d->initial_seq = p->seq;
	d->seen |= opens ? FFFA_SEEN_SYN : FFFA_SEEN_SYN_ACK;
	if (p->scale != FFFA_NO_OFFER) d->scale = (__u8)(p->scale << 4);
	if (opens && !f->syn_ns) f->syn_ns = p->time_ns;
	if (r->seen & FFFA_SEEN_ANY_SYN) fffa_agree_scale(d, r);
	/* who opened it: the SYN's sender, and whoever a SYN and ACK answers */
	if (!(r->seen & FFFA_SEEN_SYN)) {
		d->seen |= opens ? FFFA_SEEN_INITIATOR : 0;
		r->seen = (__u16)((r->seen & ~FFFA_SEEN_INITIATOR) | (opens ? 0 : FFFA_SEEN_INITIATOR));
	}
	return 1;
}

FFFA_INLINE void fffa_track_close(struct fffa_flow *f, struct fffa_half *d, __u8 flags)
{
	if (fffa_has_ended(f)) return;
	if (flags & FFFA_RST)
		d->seen |= FFFA_SEEN_RST;
	else
		d->seen |= FFFA_SEEN_FIN;
}

FFFA_INLINE void fffa_track_tcp(struct fffa_flow *f, const struct fffa_sides *s, const struct fffa_packet *p)
{
	const __u8 flags = p->flags;
	s->slot->flags |= flags;
	fffa_track_jitter(s->d, s->slot, p->time_ns);
	if (fffa_unlikely(flags & (FFFA_ECE | FFFA_CWR))) {
		s->slot->tcp_ece += flags & FFFA_ECE ? p->packets : 0;
		s->slot->tcp_cwr += (flags & FFFA_CWR) != 0; /* of a super-packet only the first segment has it */
	}
	__u32 length = p->payload + ((flags & FFFA_FIN) != 0);
	if (fffa_unlikely(flags & FFFA_SYN)) {
		if (flags & FFFA_ACK) s->slot->flags |= FFFA_SLOT_SYN_ACK;
		length += (__u32)fffa_track_syn(f, s, p);
	}
	if (length && fffa_likely(!(flags & FFFA_RST))) {
		if (p->payload) s->d->seen |= FFFA_SEEN_DATA;
		fffa_track_segment(f, s, p, length);
	}
	if (fffa_likely(flags & FFFA_ACK)) fffa_track_ack(f, s, p, length);
	fffa_track_window(s, p);
	if (fffa_unlikely(flags & (FFFA_FIN | FFFA_RST))) fffa_track_close(f, s->d, flags);
}

/* Counts one packet. `direction` must be a constant (enum fffa_direction) where speed matters. */
FFFA_INLINE void fffa_track(struct fffa_flow *f, const struct fffa_packet *p, const int direction)
{
	struct fffa_half *d = &f->half[direction];
	struct fffa_slot *slot = &f->slot[direction];
	if (!slot->packets) slot->first_ns = p->time_ns;
	slot->packets += p->packets;
	slot->bytes += p->bytes;
	slot->vlan = p->vlan;
	if (fffa_unlikely(p->ecn)) {
		slot->flags |= (__u16)(p->ecn << FFFA_SLOT_ECN_SHIFT);
		slot->ecn_ce += p->ecn == 3 ? p->packets : 0;
	}
	if (fffa_likely(p->tcp)) {
		const struct fffa_sides sides = fffa_sides_of(f, direction);
		fffa_track_tcp(f, &sides, p);
	}
	if (fffa_likely(p->time_ns > d->last_ns)) d->last_ns = p->time_ns;
}

/* Makes an entry of nothing, for its first packet (which fffa_track then counts). */
FFFA_INLINE void fffa_begin_flow(struct fffa_flow *f, int direction)
{
	f->handshake_us = 0;
	f->syn_ns = 0;
	__builtin_memset(f->half, 0, sizeof f->half);
	__builtin_memset(f->slot, 0, sizeof f->slot);
	f->half[0].scale = f->half[1].scale = FFFA_NO_OFFER << 4;
	f->half[0].seen = direction == 0 ? FFFA_SEEN_INITIATOR : 0;
	f->half[1].seen = direction == 1 ? FFFA_SEEN_INITIATOR : 0;
}

#endif
