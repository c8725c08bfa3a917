/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Later fragments have no ports: those of their datagram's first one are remembered, for as long as a receiver may wait
 * for the rest.
 *
 * A place in the table is given by the hash, and whoever comes last has it: a datagram may be forgotten, its later
 * fragments then are a flow with ports 0. None ever gets what belongs to another datagram: the whole identity is
 * compared, under the place's lock.
 *
 * Whoever includes this defines struct fffa_fragments, and
 *   fffa_fragment_at(t, index)     the entry, null if there is none such; FFFA_FRAGMENTS of them, zeroed
 *   fffa_fragment_seed(t, i)       FFFA_HASH_SEEDS random numbers */
#ifndef FFFA_BPF_FRAGMENT_H
#define FFFA_BPF_FRAGMENT_H

#include "hash.h"
#include "lock.h"
#include "parse_l4.h"

#define FFFA_FRAGMENT_NS 60000000000ull /* RFC 8200, 4.5 */
#define FFFA_FRAGMENT_SPINS 100

struct fffa_fragments;
FFFA_INLINE struct fffa_fragment *fffa_fragment_at(struct fffa_fragments *t, __u32 index);
FFFA_INLINE __u32 fffa_fragment_seed(struct fffa_fragments *t, int i);

/* fffa_fragment.lock */
enum { FFFA_FRAGMENT_HELD = 1, FFFA_FRAGMENT_OUTDATED = 3 /* and who holds it is to forget the entry */ };

/* All of fffa_fragment.path; never 0. Ids are the sender's: the two directions have nothing to do with each other. */
FFFA_INLINE __u32 fffa_fragment_path(__u32 vni, __u32 encap, __u32 depth, __u32 family, __u32 direction)
{
	return (vni & 0xffffff) | (depth & 3) << 24 | (encap & 3) << 26 | (family == 6 ? 2u : 1u) << 28 |
	       direction << 30;
}

FFFA_INLINE void fffa_identify_fragment(struct fffa_fragment *f, const struct fffa_packet *p)
{
	f->lock = 0;
	f->remote_port = p->key.remote_port;
	f->local_port = p->key.local_port;
	f->time_ns = p->time_ns;
	f->remote_addr = p->key.remote_addr;
	f->local_addr = p->key.local_addr;
	f->ifindex = p->key.ifindex;
	f->id = p->fragment_id;
	f->path = fffa_fragment_path(p->key.vni, p->key.encap, p->key.encap_depth, p->key.family, p->direction & 1);
	f->datagram_proto = p->datagram_proto;
	f->proto = p->key.proto;
	f->reserved = 0;
}

/* The outermost packet around the one that was parsed. */
FFFA_INLINE void fffa_identify_outer_fragment(struct fffa_fragment *f, const struct fffa_packet *p)
{
	const int in = p->direction == FFFA_INGRESS;
	f->lock = 0;
	f->remote_port = in ? p->outer.src_port : p->outer.dst_port;
	f->local_port = in ? p->outer.dst_port : p->outer.src_port;
	f->time_ns = p->time_ns;
	f->remote_addr = in ? p->outer.src : p->outer.dst;
	f->local_addr = in ? p->outer.dst : p->outer.src;
	f->ifindex = p->key.ifindex;
	f->id = p->outer_fragment_id;
	f->path = fffa_fragment_path(0, FFFA_ENCAP_NONE, 0, p->outer.family, p->direction & 1);
	f->datagram_proto = p->outer_datagram_proto;
	f->proto = FFFA_PROTO_UDP;
	f->reserved = 0;
}

/* The words of which a datagram's identity consists. */
enum { FFFA_FRAGMENT_WORDS = 6 };
FFFA_INLINE __u64 fffa_fragment_word(const struct fffa_fragment *f, int i)
{
	const __u64 word = fffa_load64((const __u8 *)f + 16 + 8 * i);
	return i == FFFA_FRAGMENT_WORDS - 1 ? word & 0xffffffffff : word; /* path and datagram_proto */
}

FFFA_INLINE int fffa_is_same_datagram(const struct fffa_fragment *a, const struct fffa_fragment *b)
{
	__u64 difference = 0;
	FFFA_UNROLL
	for (int i = 0; i < FFFA_FRAGMENT_WORDS; i++) difference |= fffa_fragment_word(a, i) ^ fffa_fragment_word(b, i);
	return !difference;
}

FFFA_INLINE struct fffa_fragment *fffa_fragment_place(struct fffa_fragments *t, const struct fffa_fragment *f)
{
	__u64 hash = 0;
	FFFA_IN_MEMORY(f);
	FFFA_UNROLL
	for (int i = 0; i < FFFA_FRAGMENT_WORDS; i++)
		hash += fffa_hash_word(fffa_fragment_word(f, i), fffa_fragment_seed(t, 2 * i),
				       fffa_fragment_seed(t, 2 * i + 1));
	return fffa_fragment_at(t, (__u32)fffa_hash_end(hash) & (FFFA_FRAGMENTS - 1));
}

/* Here and not by fffa_lock, which calls: there is no stack left for that. Nobody holds it for long. */
FFFA_INLINE int fffa_hold_fragment(struct fffa_fragment *place)
{
	FFFA_NO_UNROLL
	for (int i = 0; i < FFFA_FRAGMENT_SPINS; i++)
		if (!FFFA_READ_ONCE(place->lock) && !__sync_val_compare_and_swap(&place->lock, 0, FFFA_FRAGMENT_HELD))
			return 1;
	return 0;
}

FFFA_INLINE void fffa_release_fragment(struct fffa_fragment *place)
{
	if (fffa_likely(__sync_val_compare_and_swap(&place->lock, FFFA_FRAGMENT_HELD, 0) == FFFA_FRAGMENT_HELD)) return;
	place->path = 0;
	fffa_unlock(&place->lock);
}

/* A first fragment. What cannot be written, because the place is held for too long, must not stay either: it may be of
 * an earlier datagram with the same id. */
FFFA_INLINE void fffa_remember_fragment(struct fffa_fragment *place, const struct fffa_fragment *first)
{
	if (fffa_unlikely(!fffa_hold_fragment(place)) &&
	    (__sync_val_compare_and_swap(&place->lock, FFFA_FRAGMENT_HELD, FFFA_FRAGMENT_OUTDATED) ||
	     !fffa_hold_fragment(place)))
		return;
	place->remote_port = first->remote_port;
	place->local_port = first->local_port;
	place->time_ns = first->time_ns;
	place->remote_addr = first->remote_addr;
	place->local_addr = first->local_addr;
	place->ifindex = first->ifindex;
	place->id = first->id;
	place->path = first->path;
	place->datagram_proto = first->datagram_proto;
	place->proto = first->proto;
	fffa_release_fragment(place);
}

/* A later fragment: fills in its flow's ports and protocol, if they are known. */
FFFA_INLINE int fffa_recall_fragment(struct fffa_fragment *place, struct fffa_fragment *later)
{
	if (!fffa_hold_fragment(place)) return 0;
	const __u64 then = place->time_ns, now = later->time_ns;
	const __u64 apart = now > then ? now - then : then - now; /* a capture's times may go back a little */
	const int known = apart <= FFFA_FRAGMENT_NS && fffa_is_same_datagram(place, later);
	if (known) {
		later->remote_port = place->remote_port;
		later->local_port = place->local_port;
		later->proto = place->proto;
	}
	fffa_release_fragment(place);
	return known;
}

/* What a parsed packet with FFFA_FRAGMENT_FIRST says of its datagram, and one with FFFA_FRAGMENT_LATER learns of it.
 * Its time must be set. */
FFFA_INLINE void fffa_follow_first_fragment(struct fffa_fragments *t, const struct fffa_packet *p)
{
	struct fffa_fragment f;
	fffa_identify_fragment(&f, p);
	struct fffa_fragment *place = fffa_fragment_place(t, &f);
	if (place) fffa_remember_fragment(place, &f);
}
FFFA_INLINE void fffa_follow_later_fragment(struct fffa_fragments *t, struct fffa_packet *p)
{
	struct fffa_fragment f;
	fffa_identify_fragment(&f, p);
	struct fffa_fragment *place = fffa_fragment_place(t, &f);
	if (!place || !fffa_recall_fragment(place, &f)) return;
	p->key.remote_port = f.remote_port;
	p->key.local_port = f.local_port;
	p->key.proto = f.proto;
}

/* Likewise with p->outer_fragment, which is a first one: no later one has a tunnel's header. */
FFFA_INLINE void fffa_follow_outer_fragment(struct fffa_fragments *t, const struct fffa_packet *p)
{
	struct fffa_fragment f;
	fffa_identify_outer_fragment(&f, p);
	struct fffa_fragment *place = fffa_fragment_place(t, &f);
	if (place) fffa_remember_fragment(place, &f);
}

/* All of it. The kernel calls them one by one, each with a stack of its own. */
FFFA_INLINE void fffa_follow_fragment(struct fffa_fragments *t, struct fffa_packet *p)
{
	if (p->fragment == FFFA_FRAGMENT_FIRST) fffa_follow_first_fragment(t, p);
	if (p->fragment == FFFA_FRAGMENT_LATER) fffa_follow_later_fragment(t, p);
}

#endif
