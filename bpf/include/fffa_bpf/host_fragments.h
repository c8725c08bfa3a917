/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The fragment table in user space: fragment.h over memory that the caller allocates (zeroed) and owns. */
#ifndef FFFA_BPF_HOST_FRAGMENTS_H
#define FFFA_BPF_HOST_FRAGMENTS_H

#include "layout.h"

struct fffa_fragments {
	struct fffa_fragment *entries; /* FFFA_FRAGMENTS */
	__u32 seeds[FFFA_HASH_SEEDS];  /* random: who can guess them can make others forget */
};

#include "fragment.h"

FFFA_INLINE struct fffa_fragment *fffa_fragment_at(struct fffa_fragments *t, __u32 index)
{
	return index < FFFA_FRAGMENTS ? &t->entries[index] : 0;
}
FFFA_INLINE __u32 fffa_fragment_seed(struct fffa_fragments *t, int i) { return t->seeds[i]; }

#endif
