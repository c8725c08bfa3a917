/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The table's own memory, beside the flows: see table.h for how it works. */
#ifndef FFFA_BPF_LAYOUT_H
#define FFFA_BPF_LAYOUT_H

#include "compiler.h"

#define FFFA_BUCKET_PLACES 7
#define FFFA_HASH_SEEDS 12

union fffa_place {
	__u64 word; /* 0: free */
	struct {
		__u32 index; /* of the flow, plus one */
		__u32 tag;
	} to;
};

struct fffa_bucket {
	__u32 lock;
	__u32 reserved;
	union fffa_place places[FFFA_BUCKET_PLACES];
};
FFFA_SIZE(fffa_bucket, 64);
FFFA_AT(fffa_bucket, places, 8);

struct fffa_table_state {
	__u64 free_head;  /* low half: index of the first free entry, plus one; high half: count of changes */
	__u32 next_index; /* the first entry that was never used; may overshoot the table's end */
	__u32 reserved;
};
FFFA_SIZE(fffa_table_state, 16);
FFFA_AT(fffa_table_state, free_head, 0);
FFFA_AT(fffa_table_state, next_index, 8);

/* How many buckets a table of `entries` flows has: at most 32 bytes, on average 24, for each flow. */
FFFA_INLINE __u32 fffa_bucket_count(__u32 entries)
{
	__u32 count = 1;
	while (count < (entries + 3) / 4) count *= 2;
	return count;
}

#endif
