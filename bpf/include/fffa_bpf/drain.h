/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Reading the table out: copies and zeroes what a flow has measured, under its lock, and deletes what is over. */
#ifndef FFFA_BPF_DRAIN_H
#define FFFA_BPF_DRAIN_H

#include "table.h"
#include "verdict.h"

enum fffa_drained { FFFA_DRAINED_RECORD = 1, FFFA_DRAINED_DELETED = 2, FFFA_DRAINED_BUSY = 4, FFFA_DRAINED_IN_USE = 8 };

FFFA_INLINE int fffa_is_over(const struct fffa_flow *f, const struct fffa_drain_request *request, __u64 now, int active)
{
	if (request->flags & FFFA_DRAIN_NO_DELETE) return 0;
	const __u64 last = f->half[0].last_ns > f->half[1].last_ns ? f->half[0].last_ns : f->half[1].last_ns;
	const __u64 silence = now > last ? now - last : 0;
	if (silence >= request->linger_ns && fffa_has_ended(f)) return 1;
	return !active && silence >= request->idle_ns;
}

/* Whether there is something to report. Round trips are measured by the other direction's packets: where there are any,
 * so are those. */
FFFA_INLINE int fffa_is_active(const struct fffa_flow *f) { return (f->slot[0].packets | f->slot[1].packets) != 0; }

/* Whether a flow need not be locked: nothing to report, nothing to delete. What it misses is there at the next
 * read-out. */
FFFA_RACY int fffa_may_skip(const struct fffa_flow *f, const struct fffa_verdicts *verdicts,
			    const struct fffa_drain_request *request, __u64 now)
{
	return !fffa_is_active(f) && !fffa_has_verdicts(verdicts) && !fffa_is_over(f, request, now, 0);
}

FFFA_RACY int fffa_is_unused(const struct fffa_flow *f) { return !f->key.family; }

/* An entry that was made for a verdict may be found before its verdict: it stays for one read-out more. */
FFFA_RACY int fffa_awaits_verdict(const struct fffa_flow *f, struct fffa_verdicts *verdicts)
{
	if (!verdicts || f->half[0].last_ns || f->half[1].last_ns || fffa_has_verdicts(verdicts)) return 0;
	return !verdicts->side[0].looked++;
}

/* All but what was measured. */
FFFA_INLINE void fffa_begin_record(const struct fffa_flow *f, __u32 index, struct fffa_drain_record *record)
{
	record->key = f->key;
	record->last_ns[0] = f->half[0].last_ns;
	record->last_ns[1] = f->half[1].last_ns;
	record->index = index;
	record->handshake_us = f->handshake_us;
	record->seen[0] = f->half[0].seen;
	record->seen[1] = f->half[1].seen;
	record->window_scale[0] = fffa_window_scale(f, 0);
	record->window_scale[1] = fffa_window_scale(f, 1);
	record->flags = fffa_has_ended(f) ? FFFA_RECORD_ENDED : 0;
	record->reserved = 0;
}

/* Moves what was measured of one direction into the record. */
FFFA_INLINE void fffa_take_slot(struct fffa_slot *slot, struct fffa_slot *into)
{
	*into = *slot;
	__builtin_memset(slot, 0, sizeof *slot);
}

/* Verdicts on packets that were not counted (yet) are of now: the direction's last packet may be long past, and told.
 */
FFFA_INLINE void fffa_time_verdicts(struct fffa_drain_record *record, const int direction, __u64 now)
{
	if (!record->slot[direction].packets && fffa_has_counts(&record->verdicts.side[direction]))
		record->last_ns[direction] = now;
}

/* Reads out one entry. `tunnel` and `verdicts` are its side entries or null; `record` must have room for a record even
 * where none is made. Returns enum fffa_drained. */
FFFA_INLINE int fffa_drain_flow(struct fffa_table *t, __u32 index, struct fffa_flow *f, struct fffa_tunnel *tunnel,
				struct fffa_verdicts *verdicts, const struct fffa_drain_request *request, __u64 now,
				struct fffa_drain_record *record)
{
	if (fffa_is_unused(f)) return 0;
	if (fffa_may_skip(f, verdicts, request, now) || fffa_awaits_verdict(f, verdicts)) return FFFA_DRAINED_IN_USE;
	if (!fffa_lock(&f->lock)) return FFFA_DRAINED_BUSY | FFFA_DRAINED_IN_USE;
	const int judged = fffa_has_verdicts(verdicts), active = fffa_is_active(f) || judged;
	const int over = fffa_is_over(f, request, now, active);
	if (!f->key.family || (!active && !over)) {
		fffa_unlock(&f->lock);
		return FFFA_DRAINED_IN_USE;
	}
	fffa_begin_record(f, index, record);
	fffa_take_slot(&f->slot[0], &record->slot[0]);
	fffa_take_slot(&f->slot[1], &record->slot[1]);
	if (tunnel && f->key.encap) {
		record->tunnel = *tunnel;
		tunnel->side[0].bytes = 0;
		tunnel->side[1].bytes = 0;
	}
	if (judged) {
		record->flags |= FFFA_RECORD_VERDICTS;
		fffa_take_verdicts(verdicts, &record->verdicts, now);
		fffa_time_verdicts(record, 0, now);
		fffa_time_verdicts(record, 1, now);
	}
	if (over) {
		f->key.family = 0;
		record->flags |= FFFA_RECORD_DELETED;
	}
	fffa_unlock(&f->lock);
	if (over) fffa_table_remove(t, index, &record->key);
	return (active ? FFFA_DRAINED_RECORD : 0) | (over ? FFFA_DRAINED_DELETED : FFFA_DRAINED_IN_USE);
}

/* Adds an encapsulated packet to its flow's side entry, under the flow's lock. */
FFFA_INLINE void fffa_track_tunnel(struct fffa_tunnel *tunnel, const struct fffa_packet *p, const int direction)
{
	tunnel->side[direction].outer = p->outer;
	tunnel->side[direction].bytes += p->outer_bytes;
}

#endif
