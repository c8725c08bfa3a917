/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What differs between clang -target bpf and the host compilers (C11 and C++), and nothing else. */
#ifndef FFFA_BPF_COMPILER_H
#define FFFA_BPF_COMPILER_H

#include <linux/types.h>

#define FFFA_INLINE static inline __attribute__((always_inline, unused))
#define FFFA_NOINLINE static __attribute__((noinline, unused))
#define fffa_likely(x) __builtin_expect(!!(x), 1)
#define fffa_unlikely(x) __builtin_expect(!!(x), 0)

#ifdef __cplusplus
#define FFFA_ASSERT(condition) static_assert(condition, #condition)
#else
#define FFFA_ASSERT(condition) _Static_assert(condition, #condition)
#endif
/* The layout of what two compilers share is fixed: every member's offset and every struct's size. */
#define FFFA_AT(type, member, offset) FFFA_ASSERT(__builtin_offsetof(struct type, member) == (offset))
#define FFFA_SIZE(type, size) FFFA_ASSERT(sizeof(struct type) == (size))

#ifdef __bpf__
/* The verifier proves every access, and packet and map memory may be read unaligned on the supported machines. */
#define fffa_load16(p) (*(const __u16 *)(p))
#define fffa_load32(p) (*(const __u32 *)(p))
#define fffa_load64(p) (*(const __u64 *)(p))
#define fffa_store64(p, v) (*(__u64 *)(p) = (v)) /* clang makes eight byte stores of a memcpy */
#define FFFA_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define FFFA_WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
/* A function that reads what others may be writing, and lets nothing depend on it that is not checked again. */
#define FFFA_RACY FFFA_INLINE
#else
FFFA_INLINE __u16 fffa_load16(const void *p)
{
	__u16 v;
	__builtin_memcpy(&v, p, sizeof v);
	return v;
}
FFFA_INLINE __u32 fffa_load32(const void *p)
{
	__u32 v;
	__builtin_memcpy(&v, p, sizeof v);
	return v;
}
FFFA_INLINE __u64 fffa_load64(const void *p)
{
	__u64 v;
	__builtin_memcpy(&v, p, sizeof v);
	return v;
}
FFFA_INLINE void fffa_store64(void *p, __u64 v) { __builtin_memcpy(p, &v, sizeof v); }
#define FFFA_READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define FFFA_WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define FFFA_RACY static __attribute__((noinline, unused, no_sanitize("thread")))
#endif

/* Hides how a value came about from the optimiser: see where it is used. */
#define FFFA_OPAQUE(x) __asm__ volatile("" : "+r"(x))

/* Makes the compiler keep *p where it is, and not a second time in registers that it then spills. */
#define FFFA_IN_MEMORY(p) __asm__ volatile("" : : "r"(p) : "memory")

/* Makes the verifier forget what it knows of a number, where ways meet that differ in nothing else: it then follows
 * only one of them. Whoever compiles for the kernel defines it first. */
#ifndef FFFA_FORGET
#define FFFA_FORGET(x) ((void)0)
#endif

/* Calls long function(__u32 i, context *) until it returns 1, or it has done so `times` times. In the kernel it is a
 * helper, of whose loop the verifier looks at one turn. */
#ifndef FFFA_REPEAT
#define FFFA_REPEAT(times, function, context) \
	do { \
		for (__u32 fffa_i = 0; fffa_i < (times); fffa_i++) \
			if ((function)(fffa_i, context)) break; \
	} while (0)
#endif

#ifdef __clang__
#define FFFA_NO_UNROLL _Pragma("clang loop unroll(disable)")
#define FFFA_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FFFA_NO_UNROLL
#define FFFA_UNROLL
#endif

/* Big-endian (as on the wire) to the machine's order; every supported machine is little-endian. */
FFFA_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
#define fffa_be16(p) __builtin_bswap16(fffa_load16(p))
#define fffa_be32(p) __builtin_bswap32(fffa_load32(p))
#define fffa_be64(p) __builtin_bswap64(fffa_load64(p))

#endif
