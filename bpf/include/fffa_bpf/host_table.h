/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The flow table in user space: table.h and drain.h over memory that the caller allocates (zeroed) and owns. */
#ifndef FFFA_BPF_HOST_TABLE_H
#define FFFA_BPF_HOST_TABLE_H

#include "types.h"

struct fffa_table {
	struct fffa_flow *flows;     /* entries */
	struct fffa_bucket *buckets; /* fffa_bucket_count(entries) */
	struct fffa_table_state state;
	__u32 entries;
	__u32 bucket_mask;            /* buckets less one */
	__u32 seeds[FFFA_HASH_SEEDS]; /* random: who can guess them can fill one bucket */
};

#include "table.h"

FFFA_INLINE struct fffa_flow *fffa_table_flow(struct fffa_table *t, __u32 index)
{
	return index < t->entries ? &t->flows[index] : 0;
}
FFFA_INLINE struct fffa_bucket *fffa_table_bucket(struct fffa_table *t, __u32 index)
{
	return index <= t->bucket_mask ? &t->buckets[index] : 0;
}
FFFA_INLINE void fffa_begin_side(struct fffa_table *t, __u32 index)
{
	(void)t;
	(void)index; /* no verdicts in user space */
}
FFFA_INLINE struct fffa_table_state *fffa_state_of(struct fffa_table *t) { return &t->state; }
FFFA_INLINE __u32 fffa_table_entries(struct fffa_table *t) { return t->entries; }
FFFA_INLINE __u32 fffa_table_bucket_mask(struct fffa_table *t) { return t->bucket_mask; }
FFFA_INLINE __u32 fffa_table_seed(struct fffa_table *t, int i) { return t->seeds[i]; }

#include "drain.h"

#endif
