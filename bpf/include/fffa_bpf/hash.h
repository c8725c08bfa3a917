/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The tables' hash: who does not know the seeds cannot make keys that meet. */
#ifndef FFFA_BPF_HASH_H
#define FFFA_BPF_HASH_H

#include "compiler.h"

/* What one word of a key adds to its hash. */
FFFA_INLINE __u64 fffa_hash_word(__u64 word, __u32 seed, __u32 other_seed)
{
	return (__u64)((__u32)word + seed) * ((__u32)(word >> 32) + other_seed);
}

/* The hash of the words' sum. */
FFFA_INLINE __u64 fffa_hash_end(__u64 sum)
{
	sum ^= sum >> 29;
	sum *= 0xbf58476d1ce4e5b9ull;
	return sum ^ sum >> 32;
}

#endif
