/* SPDX-License-Identifier: GPL-2.0 */
/* Before kernel 6.4 there are no netfilter programs: the function that runs a hook is traced instead.
 *
 * Its entry is the hook's first end, its return with 1 the last one. It is not called where a hook has no functions at
 * all. A packet that comes back from a queue goes on in another function. Packets are always noted. */
#ifndef FFFA_PROGRAMS_NETFILTER_TRACED_H
#define FFFA_PROGRAMS_NETFILTER_TRACED_H

#include "netfilter.h"

enum {
	FFFA_NF_ACCEPT = 1,
	FFFA_NF_REPEAT = 4,
	FFFA_NF_STOP = 5,
	FFFA_NF_VERDICT = 0xff,     /* the rest of the word is a queue's number */
	FFFA_REINJECT_BYTES = 2048, /* more than nf_reinject has; nothing near it frees noted packets */
};

__u64 reinject_at; /* where nf_reinject is; 0: no packet has come back yet */

/* The hook, if it is one of ours, or FFFA_NO_HOOK. */
FFFA_INLINE __u32 fffa_our_hook(const struct nf_hook_state *state)
{
	const __u32 hook = state->hook, family = state->pf;
	if ((family != FFFA_PF_IPV4 && family != FFFA_PF_IPV6) || hook >= FFFA_POST_ROUTING) return FFFA_NO_HOOK;
	return state->net->ns.inum == our_netns ? hook + 1 : FFFA_NO_HOOK;
}

SEC("?fentry/nf_hook_slow")
int fffa_traced_begin(__u64 *ctx) /* skb, state, entries, index */
{
	const struct nf_hook_state *state = (const struct nf_hook_state *)ctx[1];
	const __u32 hook = fffa_our_hook(state);
	if (hook) fffa_enter_hook((struct sk_buff *)ctx[0], state, hook, FFFA_BY_HELPER);
	return 0;
}

SEC("?fexit/nf_hook_slow")
int fffa_traced_end(__u64 *ctx) /* as above, and what it returns */
{
	const struct nf_hook_state *state = (const struct nf_hook_state *)ctx[1];
	if ((int)ctx[4] != 1) return 0; /* refused, queued or stolen: it may be freed by now */
	const __u32 hook = fffa_our_hook(state);
	if (hook) fffa_leave_hook((struct sk_buff *)ctx[0], state, hook, FFFA_BY_HELPER);
	return 0;
}

/* What the hook's later functions will make of it cannot be seen, but that it is freed there. At a last hook it counts
 * as accepted already. */
SEC("?fentry/nf_reinject")
int fffa_traced_back(__u64 *ctx) /* entry, verdict */
{
	const struct nf_queue_entry *entry = (const struct nf_queue_entry *)ctx[0];
	const __u32 verdict = (__u32)ctx[1] & FFFA_NF_VERDICT, hook = fffa_our_hook(&entry->state);
	if (!hook || (verdict != FFFA_NF_ACCEPT && verdict != FFFA_NF_STOP && verdict != FFFA_NF_REPEAT)) return 0;
	struct sk_buff *skb = entry->skb;
	reinject_at = bpf_get_func_ip(ctx);
	fffa_leave_hook(skb, &entry->state, hook, FFFA_BY_HELPER);
	const struct fffa_noted at = fffa_find_note(skb);
	if (at.note) fffa_set_stage(at, FFFA_BROUGHT_BACK);
	return 0;
}

/* Was it still in the hook that it came back to? */
FFFA_INLINE void fffa_settle(const struct sk_buff *skb, __u64 location)
{
	const struct fffa_noted at = fffa_find_note(skb);
	if (!at.note || (FFFA_READ_ONCE(*at.word) & FFFA_STAGE_MASK) != FFFA_BROUGHT_BACK) return;
	fffa_set_stage(at, location - reinject_at < FFFA_REINJECT_BYTES ? FFFA_IN_HOOK : FFFA_BETWEEN_HOOKS);
}

SEC("?tp_btf/kfree_skb")
int fffa_traced_freed(__u64 *ctx) /* skb, location, reason */
{
	struct sk_buff *skb = (struct sk_buff *)ctx[0];
	fffa_settle(skb, ctx[1]);
	fffa_on_free(skb, (__u32)ctx[2], 0, FFFA_BY_HELPER);
	return 0;
}

#endif
