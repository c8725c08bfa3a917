/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A lock in a word: 0 free, anything else held. Nobody waits for it for long. */
#ifndef FFFA_BPF_LOCK_H
#define FFFA_BPF_LOCK_H

#include "compiler.h"

#define FFFA_SPINS 65536 /* well below a millisecond */

struct fffa_spin {
	__u32 *lock;
	int held;
};

FFFA_NOINLINE long fffa_spin_once(__u32 i, struct fffa_spin *spin)
{
	__u32 *lock = spin->lock;
	(void)i;
	if (FFFA_READ_ONCE(*lock) || __sync_val_compare_and_swap(lock, 0, 1)) return 0;
	spin->held = 1;
	return 1;
}

/* Spins for a bounded time: in a virtual machine the holder's CPU may be away. */
FFFA_NOINLINE int fffa_wait_lock(__u32 *lock)
{
	struct fffa_spin spin = {lock, 0};
	FFFA_REPEAT(FFFA_SPINS, fffa_spin_once, &spin);
	return spin.held;
}

FFFA_INLINE int fffa_lock(__u32 *lock)
{
	return fffa_likely(__sync_val_compare_and_swap(lock, 0, 1) == 0) || fffa_wait_lock(lock);
}

FFFA_INLINE void fffa_unlock(__u32 *lock)
{
#if defined(__bpf__) && defined(__TARGET_ARCH_x86)
	__asm__ volatile("" ::: "memory"); /* stores are not reordered on x86 */
	*(volatile __u32 *)lock = 0;
#elif defined(__bpf__)
	__sync_lock_test_and_set(lock, 0);
#else
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
#endif
}

#endif
