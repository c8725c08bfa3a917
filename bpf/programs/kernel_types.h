/* SPDX-License-Identifier: GPL-2.0 */
/* Of the kernel's own structs, the members that we read; libbpf finds where they are on the running kernel. */
#ifndef FFFA_PROGRAMS_KERNEL_TYPES_H
#define FFFA_PROGRAMS_KERNEL_TYPES_H

#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct net_device {
	int ifindex;
	possible_net_t nd_net;
};
struct sock_common {
	possible_net_t skc_net;
};
struct sock {
	struct sock_common __sk_common;
};
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	unsigned long _nfct;
	unsigned int len;
	unsigned int data_len;
	int skb_iif;
	__be16 protocol;
	__u16 network_header;
	unsigned int end; /* an offset from `head` on 64-bit machines */
	unsigned char *head;
	unsigned char *data;
};
struct skb_shared_info {
	unsigned short gso_size;
	unsigned short gso_segs;
};
struct dst_entry {
	struct net_device *dev;
	unsigned short flags;
};
struct rtable {
	struct dst_entry dst;
	unsigned int rt_flags;
	__u8 rt_is_input;
};
struct rt6_info {
	struct dst_entry dst;
	__u32 rt6i_flags;
};
struct nf_conntrack_tuple_hash {
	int unused;
};
struct nf_conn {
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
};
struct nf_hook_state {
	__u8 hook;
	__u8 pf;
	struct net_device *in;
	struct net_device *out;
	struct net *net;
};
struct nf_queue_entry {
	struct sk_buff *skb;
	struct nf_hook_state state;
};
enum skb_drop_reason {
	SKB_DROP_REASON_NOT_SPECIFIED, /* the numbers differ from kernel to kernel: bpf_core_enum_value() */
	SKB_DROP_REASON_NETFILTER_DROP,
};

#pragma clang attribute pop

/* The context of a netfilter program, which the verifier knows by these offsets. */
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

/* kfuncs; weak: programs that do not call them load without. */
extern void *bpf_rdonly_cast(void *object, __u32 btf_id) __ksym __weak;
struct bpf_dynptr;
extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags, struct bpf_dynptr *dynptr) __ksym __weak;

#endif
