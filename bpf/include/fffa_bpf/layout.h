/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The table's own memory, beside the flows: see table.h for how it works. */
#ifndef FFFA_BPF_LAYOUT_H
#define FFFA_BPF_LAYOUT_H

#include "key.h"

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

/* The first fragment of a datagram, remembered for those that come later: see fragment.h. */
struct fffa_fragment {
	__u32 lock;        /* everything below changes only under it */
	__u16 remote_port; /* of its flow */
	__u16 local_port;
	__u64 time_ns;
	union fffa_addr remote_addr; /* from here to datagram_proto: what all fragments of the datagram have */
	union fffa_addr local_addr;
	__u32 ifindex;
	__u32 id;   /* of the datagram: 16 bits of IPv4, 32 of IPv6 */
	__u32 path; /* VNI, and what fffa_fragment_path adds; 0: the entry is unused */
	__u8 datagram_proto;
	__u8 proto; /* of its flow: IPv6 may have further extension headers behind the fragment header */
	__u16 reserved;
};
FFFA_SIZE(fffa_fragment, 64);
FFFA_AT(fffa_fragment, remote_port, 4);
FFFA_AT(fffa_fragment, local_port, 6);
FFFA_AT(fffa_fragment, time_ns, 8);
FFFA_AT(fffa_fragment, remote_addr, 16);
FFFA_AT(fffa_fragment, local_addr, 32);
FFFA_AT(fffa_fragment, ifindex, 48);
FFFA_AT(fffa_fragment, id, 52);
FFFA_AT(fffa_fragment, path, 56);
FFFA_AT(fffa_fragment, datagram_proto, 60);
FFFA_AT(fffa_fragment, proto, 61);
FFFA_AT(fffa_fragment, reserved, 62);

/* Entries of the fragment table: a power of two, 256 KiB. */
#define FFFA_FRAGMENTS 4096

/* How many buckets a table of `entries` flows has: at most 32 bytes, on average 24, for each flow. */
FFFA_INLINE __u32 fffa_bucket_count(__u32 entries)
{
	__u32 count = 1;
	while (count < (entries + 3) / 4) count *= 2;
	return count;
}

#endif
