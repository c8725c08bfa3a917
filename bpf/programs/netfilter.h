/* SPDX-License-Identifier: GPL-2.0 */
/* Netfilter's verdicts, beside the flows that they are about. See ../README.md.
 *
 * Having left the last hook (LOCAL_IN, POST_ROUTING: the highest priority) a packet is accepted; one that is freed
 * inside a hook was refused. Which hook that was its route tells, and which flow its headers and conntrack; only where
 * packets may be queued is each noted at both ends of every hook. */
#ifndef FFFA_PROGRAMS_NETFILTER_H
#define FFFA_PROGRAMS_NETFILTER_H

#include "netfilter_flow.h"

/* ---- reading a packet into its note ---- */

/* Copies the headers; from wherever they are, if the kernel lets us. */
FFFA_INLINE __u32 fffa_gather(struct fffa_scratch *s, struct sk_buff *skb, const __u8 *ip, const int direct)
{
	const int everywhere = direct & FFFA_BY_DYNPTR;
	__u32 length = everywhere ? skb->len : fffa_linear(skb, ip);
	if (length > FFFA_SCRATCH_BYTES) length = FFFA_SCRATCH_BYTES;
	if (!everywhere) return bpf_probe_read_kernel(s->data, length, ip) ? 0 : length;
	struct bpf_dynptr dynptr;
	if (bpf_dynptr_from_skb(skb, 0, &dynptr)) return 0;
	return bpf_dynptr_read(s->data, length, &dynptr, 0, 0) ? 0 : length;
}

FFFA_NOINLINE int fffa_fill_slowly(struct fffa_note *n, struct sk_buff *skb, __u32 ifindex, const int direction,
				   const int direct)
{
	const struct fffa_gso gso = fffa_read_gso(skb, direct);
	struct fffa_scratch *s = fffa_take_scratch();
	if (!s) return 0;
	s->captured = fffa_gather(s, skb, fffa_network_header(skb), direct);
	s->length = skb->len;
	s->segments = gso.size && gso.segments ? gso.segments : 1;
	s->ifindex = ifindex;
	const int reason = s->captured ? fffa_parse_copy(s, direction) : FFFA_TRUNCATED_L3;
	if (!reason) {
		const struct fffa_packet *p = &s->packet;
		n->key = p->key;
		n->packets = p->packets;
		n->bytes = p->bytes;
		n->flags = p->tcp ? fffa_verdict_flags(p->flags) : 0;
		n->super = gso.size != 0;
	}
	fffa_unlock(&s->held);
	return !reason;
}

FFFA_INLINE void fffa_fill(struct fffa_note *n, struct sk_buff *skb, __u32 ifindex, const int direction,
			   const int direct)
{
	struct fffa_measure m = {0};
	const __u8 *ip = fffa_network_header(skb);
	n->local = direction == FFFA_EGRESS;
	n->queued = 0;
	n->answered = 0;
	n->out = 0;
	if (fffa_likely(fffa_read_quickly(ip, fffa_linear(skb, ip), &n->key, &m, ifindex, direction, direct))) {
		fffa_spread(n, &m, fffa_read_gso(skb, direct));
		n->known = 1;
	} else {
		n->known = (__u8)fffa_fill_slowly(n, skb, ifindex, direction, direct);
		if (!n->known) __builtin_memset(&n->key, 0, sizeof n->key);
	}
}

/* ---- entering a hook ---- */

/* Whether a packet that this host sends tells of a refusal: a reset, or an ICMP error. */
FFFA_INLINE int fffa_is_answer(const struct fffa_note *n)
{
	const __u8 type = (__u8)(n->key.remote_port >> 8), code = (__u8)n->key.remote_port;
	if (n->key.proto == FFFA_PROTO_TCP) return (n->flags & FFFA_RST) != 0;
	if (n->key.proto == FFFA_PROTO_ICMP) return type == 3 && code != 4;
	return n->key.proto == FFFA_PROTO_ICMPV6 && type == 1;
}

/* Whom an answer is to: a reset says it in its ports, an ICMP error quotes the packet. What cannot be read stays 0.
 * `dst`: where the answered packet went. */
FFFA_INLINE void fffa_read_answer(struct fffa_sent_answer *a, union fffa_addr *dst, const struct fffa_note *n,
				  const struct sk_buff *skb, const int direct)
{
	union fffa_addr src = {0};
	struct fffa_measure m = {0};
	__u32 proto = 0, ports = 0;
	const __u8 *ip = fffa_network_header(skb);
	const __u32 left = fffa_linear(skb, ip), quoted = n->key.family == 4 ? 28 : 48;
	a->to = n->key.remote_addr;
	*dst = n->key.local_addr;
	a->from_port = a->to_port = a->proto = 0;
	if (n->key.proto == FFFA_PROTO_TCP) {
		a->proto = FFFA_PROTO_TCP;
		a->from_port = n->key.local_port;
		a->to_port = n->key.remote_port;
		return;
	}
	/* with options or extension headers before it the quotation is elsewhere, and is no IP header there */
	if (left < quoted || !fffa_read_ip(ip + quoted, left - quoted, &proto, &m, &src, dst, direct)) return;
	if (!fffa_same_addr(&src, &a->to)) return;
	a->proto = (__u8)proto;
	if ((proto != FFFA_PROTO_TCP && proto != FFFA_PROTO_UDP) || left < quoted + m.headers + 4) return;
	fffa_read_words(&ports, ip + quoted + m.headers, 1, direct);
	a->to_port = __builtin_bswap16((__u16)ports);
	a->from_port = __builtin_bswap16((__u16)(ports >> 16));
}

/* An answer that is sent while this CPU is inside another packet's hook, and to that one's sender, refuses it. Its
 * ports tell it from what a queue gives back meanwhile: such a packet enters no hook that would say so. The destination
 * may have been translated; then its address, too, is another. */
FFFA_INLINE void fffa_note_answer(const struct fffa_note *answer, const struct sk_buff *skb, __u32 busy,
				  const int direct)
{
	struct fffa_sent_answer a;
	union fffa_addr to;
	const __u32 index = busy - 1;
	struct fffa_note *n = busy ? bpf_map_lookup_elem(&notes, &index) : 0;
	if (!n || n == answer || !n->known || !n->hook) return;
	fffa_read_answer(&a, &to, answer, skb, direct);
	const union fffa_addr *dst = n->local ? &n->key.remote_addr : &n->key.local_addr;
	const union fffa_addr *src = n->local ? &n->key.local_addr : &n->key.remote_addr;
	if (!fffa_same_addr(src, &a.to)) return;
	if (a.proto && a.proto != n->key.proto) return;
	if (a.to_port && a.to_port != (n->local ? n->key.local_port : n->key.remote_port)) return;
	if (a.to_port && fffa_same_addr(&to, dst) && a.from_port != (n->local ? n->key.remote_port : n->key.local_port))
		return;
	n->answered = 1;
}

FFFA_INLINE void fffa_enter_hook(struct sk_buff *skb, const struct nf_hook_state *state, __u32 hook, const int direct)
{
	const struct fffa_noted at = fffa_make_note(skb);
	struct fffa_note *n = at.note;
	if (fffa_unlikely(!n)) return;
	fffa_set_stage(at, FFFA_IN_HOOK);
	n->state = fffa_address(state);
	n->hook = (__u8)hook;
	n->jiffies = (__u32)bpf_jiffies64();
	if (hook == FFFA_PRE_ROUTING) {
		n->netns = fffa_address(state->net);
		fffa_fill(n, skb, fffa_if_monitored(state->in ? (__u32)state->in->ifindex : 0, FFFA_INGRESS),
			  FFFA_INGRESS, direct);
	} else if (fffa_unlikely(hook == FFFA_LOCAL_OUT || (!n->known && !skb->skb_iif))) {
		n->netns = fffa_address(state->net);
		fffa_fill(n, skb, fffa_if_monitored(state->out ? (__u32)state->out->ifindex : 0, FFFA_EGRESS),
			  FFFA_EGRESS, direct);
	} else if (fffa_unlikely(!n->known)) {
		n->netns = fffa_address(state->net);
		fffa_fill(n, skb, fffa_if_monitored((__u32)skb->skb_iif, FFFA_INGRESS), FFFA_INGRESS, direct);
	}
	if (hook == FFFA_POST_ROUTING) {
		n->out = fffa_if_monitored(state->out ? (__u32)state->out->ifindex : 0, FFFA_EGRESS);
		return;
	}
	const __u32 cpu = bpf_get_smp_processor_id() % FFFA_CPUS;
	if (hook == FFFA_LOCAL_OUT && n->known && fffa_is_answer(n)) fffa_note_answer(n, skb, busy_with[cpu], direct);
	busy_with[cpu] = 1 + at.index;
}

/* ---- leaving it ---- */

FFFA_INLINE struct fffa_hook_counters *fffa_counted_hook(__u32 hook)
{
	return fffa_unlikely(count_hooks) ? bpf_map_lookup_elem(&hook_counters, &hook) : 0;
}

FFFA_INLINE __u32 fffa_times_queued(const struct fffa_note *n)
{
	const __u32 q = n->queued;
	return (q >> 1 & 1) + (q >> 2 & 1) + (q >> 3 & 1) + (q >> 4 & 1) + (q >> 5 & 1);
}

FFFA_INLINE void fffa_count_queued(struct fffa_verdict_side *v, const struct fffa_note *n)
{
	if (fffa_unlikely(n->queued)) __sync_fetch_and_add(&v->queues, fffa_times_queued(n) * n->packets);
}

/* `now`: the packet's present tuple, if it could be read. */
FFFA_INLINE void fffa_accept_input(struct fffa_note *n, const struct fffa_flow_key *now)
{
	if (!n->key.ifindex) return;
	struct fffa_verdicts *v = fffa_verdicts_of(&n->key, n->packets, FFFA_INGRESS);
	if (!v) return;
	fffa_count_queued(&v->side[FFFA_INGRESS], n);
	fffa_count_accept(&v->side[FFFA_INGRESS], n->packets, FFFA_LOCAL_IN);
	if (now && fffa_unlikely(!fffa_same_tuple(&n->key, now, 0)))
		fffa_set_translation(&v->translation[FFFA_INGRESS], now, FFFA_INGRESS, 0);
}

FFFA_INLINE void fffa_flip(struct fffa_flow_key *key, const struct fffa_flow_key *from, __u32 ifindex)
{
	*key = *from;
	key->ifindex = ifindex;
	key->remote_addr = from->local_addr;
	key->local_addr = from->remote_addr;
	key->remote_port = from->local_port;
	key->local_port = from->remote_port;
}

/* What a packet that leaves is called on the interface it leaves by. */
FFFA_INLINE void fffa_name_leaving(struct fffa_flow_key *key, const struct fffa_note *n, const struct sk_buff *skb,
				   const int direct)
{
	struct fffa_measure m = {0};
	const __u8 *ip = fffa_network_header(skb);
	if (fffa_likely(!n->key.encap &&
			fffa_read_quickly(ip, fffa_linear(skb, ip), key, &m, n->out, FFFA_EGRESS, direct)))
		return;
	*key = n->key;
	key->ifindex = n->out;
	if (!n->local) fffa_flip(key, &n->key, n->out);
}

/* `leaving`: its tuple on the interface it leaves by. */
FFFA_INLINE void fffa_accept_output(struct fffa_note *n, struct fffa_flow_key *leaving, const struct sk_buff *skb)
{
	const __u32 came_in = n->local ? 0 : (__u32)skb->skb_iif;
	const __u32 hook = n->local ? FFFA_LOCAL_OUT : FFFA_FORWARD;
	const int translated = !fffa_same_tuple(&n->key, leaving, !n->local);
	if (!n->local && n->key.ifindex) {
		struct fffa_verdicts *v = fffa_verdicts_of(&n->key, n->packets, FFFA_INGRESS);
		if (v) {
			fffa_count_queued(&v->side[FFFA_INGRESS], n);
			fffa_count_accept(&v->side[FFFA_INGRESS], n->packets, hook);
			if (fffa_unlikely(translated))
				fffa_set_translation(&v->translation[FFFA_INGRESS], leaving, FFFA_EGRESS, n->out);
		}
	}
	if (!n->out) return;
	struct fffa_verdicts *v = fffa_verdicts_of(leaving, n->packets, FFFA_EGRESS);
	if (!v) return;
	fffa_count_queued(&v->side[FFFA_EGRESS], n);
	fffa_count_accept(&v->side[FFFA_EGRESS], n->packets, hook);
	if (fffa_unlikely(v->side[FFFA_EGRESS].came_in != came_in)) v->side[FFFA_EGRESS].came_in = came_in;
	if (fffa_unlikely(translated))
		fffa_set_translation(&v->translation[FFFA_EGRESS], &n->key, n->local ? FFFA_EGRESS : FFFA_INGRESS,
				     n->local ? 0 : n->key.ifindex);
}

FFFA_INLINE void fffa_accept_noted(struct fffa_note *n, const struct sk_buff *skb, __u32 hook, const int direct)
{
	struct fffa_flow_key now;
	struct fffa_measure m = {0};
	const __u8 *ip = fffa_network_header(skb);
	if (!n->known) {
		fffa_count_unattributed(FFFA_NOT_PARSED, 1);
	} else if (hook == FFFA_LOCAL_IN) {
		const int read =
			!n->key.encap && fffa_read_quickly(ip, fffa_linear(skb, ip), &now, &m, 0, FFFA_INGRESS, direct);
		fffa_accept_input(n, read ? &now : 0);
	} else {
		fffa_name_leaving(&now, n, skb, direct);
		fffa_accept_output(n, &now, skb);
	}
}

/* ---- without notes ---- */

/* By CPU. */
struct fffa_sent_answer sent_answers[FFFA_CPUS];
enum { FFFA_ANSWER_NS = 1000000 };

FFFA_INLINE void fffa_remember_answer(const struct fffa_note *n, const struct sk_buff *skb, const int direct)
{
	struct fffa_sent_answer *sent = &sent_answers[bpf_get_smp_processor_id() % FFFA_CPUS];
	union fffa_addr dst;
	sent->time_ns = fffa_now();
	fffa_read_answer(sent, &dst, n, skb, direct);
}

/* `src_port`, `dst_port`: the packet's, as it was refused; an answer may name the port as it was before translation. An
 * answer to other ports is another packet's: a port scan meets closed ports and dropped packets by turns. */
FFFA_INLINE int fffa_was_answered(const struct fffa_note *n, __u16 src_port, __u16 dst_port)
{
	struct fffa_sent_answer *sent = &sent_answers[bpf_get_smp_processor_id() % FFFA_CPUS];
	const union fffa_addr *src = n->local ? &n->key.local_addr : &n->key.remote_addr;
	if (!sent->time_ns || fffa_now() - sent->time_ns > FFFA_ANSWER_NS || !fffa_same_addr(&sent->to, src)) return 0;
	if (sent->proto && sent->proto != n->key.proto) return 0;
	if (sent->to_port &&
	    (sent->to_port != src_port ||
	     (sent->from_port != dst_port && sent->from_port != (n->local ? n->key.remote_port : n->key.local_port))))
		return 0;
	sent->time_ns = 0; /* one answer, one packet */
	return 1;
}

/* Fills a note for this one call. `n->key` becomes the tuple as it came in, `now` the present one. Returns whether they
 * differ; if not, `now` is not set. */
FFFA_INLINE int fffa_note_input(struct fffa_note *n, struct sk_buff *skb, __u32 ifindex, struct fffa_flow_key *now,
				const int direct)
{
	fffa_fill(n, skb, fffa_if_monitored(ifindex, FFFA_INGRESS), FFFA_INGRESS, direct);
	struct fffa_connection c = fffa_translated_connection(skb, direct);
	if (fffa_likely(!c.ct) || !n->known || n->key.encap) return 0;
	*now = n->key;
	fffa_translate(&c, &n->key, 0, FFFA_INGRESS, direct);
	return 1;
}

/* Likewise: `n->key` becomes the tuple as it came in or was sent, `leaving` the present one. */
FFFA_INLINE void fffa_note_output(struct fffa_note *n, struct sk_buff *skb, __u32 ifindex,
				  struct fffa_flow_key *leaving, const int direct)
{
	const __u32 in = (__u32)skb->skb_iif;
	fffa_fill(n, skb, fffa_if_monitored(ifindex, FFFA_EGRESS), FFFA_EGRESS, direct);
	*leaving = n->key;
	n->out = n->key.ifindex;
	n->local = !in;
	if (in) fffa_flip(&n->key, leaving, fffa_if_monitored(in, FFFA_INGRESS));
	struct fffa_connection c = fffa_translated_connection(skb, direct);
	if (fffa_likely(!c.ct) || !n->known || n->key.encap) return;
	if (in)
		fffa_translate(&c, &n->key, 0, FFFA_INGRESS, direct);
	else
		fffa_translate(&c, &n->key, 0, FFFA_EGRESS, direct);
}

FFFA_INLINE void fffa_accept_unnoted(struct sk_buff *skb, const struct nf_hook_state *state, __u32 hook,
				     const int direct)
{
	struct fffa_note n;
	struct fffa_flow_key now;
	const __u32 in = state->in ? (__u32)state->in->ifindex : 0, out = state->out ? (__u32)state->out->ifindex : 0;
	/* most hosts have busy interfaces that nobody asked for, the loopback one to begin with */
	if (!fffa_monitored_at(hook == FFFA_LOCAL_IN ? in : out) && !fffa_monitored_at((__u32)skb->skb_iif)) return;
	if (hook == FFFA_LOCAL_IN) {
		const int translated = fffa_note_input(&n, skb, in, &now, direct);
		if (fffa_likely(n.known)) fffa_accept_input(&n, translated ? &now : 0);
	} else {
		fffa_note_output(&n, skb, out, &now, direct);
		if (fffa_likely(n.known)) fffa_accept_output(&n, &now, skb);
		if (n.local && n.known && fffa_unlikely(fffa_is_answer(&n))) fffa_remember_answer(&n, skb, direct);
	}
	if (fffa_unlikely(!n.known)) fffa_count_unattributed(FFFA_NOT_PARSED, 1);
}

FFFA_INLINE void fffa_leave_hook(struct sk_buff *skb, const struct nf_hook_state *state, __u32 hook, const int direct)
{
	int queued = 1;
	if (!fffa_noting(direct)) {
		if (hook != FFFA_LOCAL_IN && hook != FFFA_POST_ROUTING) return;
		if (take_notes) fffa_forget_packet(skb);
		fffa_accept_unnoted(skb, state, hook, direct);
		return;
	}
	struct fffa_noted at = fffa_find_note(skb);
	if (fffa_unlikely(
		    !at.note)) { /* made inside the hook: one of the packets that a queued super-packet was cut into */
		fffa_enter_hook(skb, state, hook, direct);
		at = fffa_find_note(skb);
		if (!at.note) return;
	} else {
		queued = at.note->state != fffa_address(state);
	}
	struct fffa_note *n = at.note;
	if (fffa_unlikely(queued)) n->queued |= (__u8)(1 << hook);
	struct fffa_hook_counters *counters = fffa_counted_hook(hook);
	if (counters) {
		/* a CPU may be interrupted here by another packet */
		__sync_fetch_and_add(&counters->accepts, n->packets);
		if (queued) __sync_fetch_and_add(&counters->queues, n->packets);
	}
	if (hook != FFFA_LOCAL_IN && hook != FFFA_POST_ROUTING) {
		fffa_set_stage(at, FFFA_BETWEEN_HOOKS);
		return;
	}
	fffa_accept_noted(n, skb, hook, direct);
	fffa_forget_note(at);
}

/* ---- freed packets ---- */

#define FFFA_REFUSE_IN(name, direction) \
	/* `now`: its present tuple. */ \
	__attribute__((noinline)) int fffa_refuse_##name(struct fffa_flow_key *key, struct fffa_refusal *r, \
							 struct fffa_flow_key *now) \
	{ \
		struct fffa_verdicts *v = key ? fffa_verdicts_of(key, r ? r->packets : 0, direction) : 0; \
		if (!v || !r) return 0; \
		if (r->queued) __sync_fetch_and_add(&v->side[direction].queues, r->queued); \
		fffa_count_refusal(&v->side[direction], r); \
		v->side[direction].came_in = r->came_in; \
		fffa_count_freed(&v->side[direction], r->packets, r->reason); \
		if (now && !fffa_same_tuple(key, now, 0)) \
			fffa_set_translation(&v->translation[direction], now, direction, 0); \
		return 0; \
	}
FFFA_REFUSE_IN(ingress, FFFA_INGRESS)
FFFA_REFUSE_IN(egress, FFFA_EGRESS)

/* A packet that netfilter refused. */
FFFA_INLINE void fffa_refuse(struct fffa_note *n, const struct sk_buff *skb, __u32 reason, const int direct)
{
	struct fffa_flow_key now;
	struct fffa_measure m = {0};
	const __u8 *ip = fffa_network_header(skb);
	const __u32 hook = n->hook;
	__u32 length = skb->len;
	FFFA_OPAQUE(length); /* else clang makes one load of two, which the verifier refuses */
	struct fffa_refusal refusal = {.now_ns = fffa_now(),
				       .packets = n->packets,
				       .bytes = n->super || n->key.encap ? n->bytes : length,
				       .hook = hook,
				       .reason = reason,
				       .came_in = n->local ? 0 : (__u32)skb->skb_iif,
				       .queued = fffa_times_queued(n) * n->packets,
				       .flags = n->flags,
				       .answered = n->answered};
	struct fffa_hook_counters *counters = fffa_counted_hook(hook);
	if (counters) {
		__sync_fetch_and_add(n->answered ? &counters->rejects : &counters->drops, n->packets);
		if (n->queued >> hook & 1) __sync_fetch_and_add(&counters->queues, n->packets);
	}
	if (!n->known) {
		fffa_count_unattributed(FFFA_NOT_PARSED, n->packets);
		return;
	}
	struct fffa_connection c = fffa_translated_connection(skb, direct);
	if (!n->local) {
		now = n->key;
		const int read =
			!n->key.encap && fffa_read_quickly(ip, fffa_linear(skb, ip), &now, &m, 0, FFFA_INGRESS, direct);
		/* what would have become of it, if there was a connection already */
		if (read && c.ct && hook != FFFA_PRE_ROUTING) fffa_translate(&c, &now, 1, FFFA_INGRESS, direct);
		if (n->key.ifindex) fffa_refuse_ingress(&n->key, &refusal, &now);
		if (hook != FFFA_POST_ROUTING || !n->out) return;
	} else {
		n->out = n->out ? n->out : n->key.ifindex;
	}
	if (!n->out) return;
	fffa_name_leaving(&now, n, skb, direct);
	if (c.ct && !n->key.encap) fffa_translate(&c, &now, 1, FFFA_EGRESS, direct);
	fffa_refuse_egress(&now, &refusal, n->local ? &n->key : &now);
}

FFFA_INLINE void fffa_refuse_unnoted(struct sk_buff *skb, __u32 reason, const int direct)
{
	struct fffa_note n;
	struct fffa_flow_key now;
	const __u32 hook = fffa_hook_by_route(skb, direct);
	if (hook == FFFA_LOCAL_OUT || hook == FFFA_POST_ROUTING) {
		fffa_note_output(&n, skb, fffa_routed_to(skb, direct), &now, direct);
		n.answered = (__u8)fffa_was_answered(&n, now.local_port, now.remote_port);
	} else if (fffa_note_input(&n, skb, (__u32)skb->skb_iif, &now, direct)) {
		n.answered = (__u8)fffa_was_answered(&n, now.remote_port, now.local_port);
	} else {
		n.answered = (__u8)fffa_was_answered(&n, n.key.remote_port, n.key.local_port);
	}
	n.hook = (__u8)hook;
	fffa_refuse(&n, skb, reason, direct);
}

FFFA_INLINE const struct net *fffa_netns_of(const struct sk_buff *skb, const struct sock *receiver, const int direct)
{
	const struct net_device *dev = skb->dev;
	if (dev) return dev->nd_net.net;
	if (receiver) return receiver->__sk_common.skc_net.net;
	const struct sock *sk = skb->sk;
	if (sk) return sk->__sk_common.skc_net.net;
	const unsigned long refdst = skb->_skb_refdst & ~(unsigned long)FFFA_DST_NOREF;
	if (!(direct & FFFA_PLAIN_LOADS) || !refdst) return 0;
	const struct net_device *out = fffa_kernel_cast(refdst, struct rtable)->dst.dev;
	return out ? out->nd_net.net : 0;
}

/* A packet that is not on its way through a hook: it counts in the flow that its headers name, if there is one. */
FFFA_INLINE void fffa_count_free(const struct sk_buff *skb, const struct net *net, __u32 reason, const int direct)
{
	struct fffa_flow_key key;
	struct fffa_measure m = {0};
	struct fffa_note measured;
	const __u8 *ip = fffa_network_header(skb);
	const __u32 left = fffa_linear(skb, ip), ifindex = (__u32)(skb->dev ? skb->dev->ifindex : skb->skb_iif);
	if (!net || net->ns.inum != our_netns) return;
	int direction = FFFA_INGRESS, index = -1;
	__u32 as = fffa_if_monitored(ifindex, FFFA_INGRESS);
	if (as && fffa_read_quickly(ip, left, &key, &m, as, FFFA_INGRESS, direct)) index = fffa_look_up(&key);
	if (index < 0) {
		direction = FFFA_EGRESS;
		as = fffa_if_monitored(ifindex, FFFA_EGRESS);
		if (as && fffa_read_quickly(ip, left, &key, &m, as, FFFA_EGRESS, direct)) index = fffa_look_up(&key);
	}
	if (index < 0) return;
	fffa_spread(&measured, &m, fffa_read_gso(skb, direct));
	const __u32 at = (__u32)index;
	struct fffa_verdicts *v = bpf_map_lookup_elem(&verdict_table, &at);
	if (v) fffa_count_freed(&v->side[direction & 1], measured.packets, reason);
}

FFFA_INLINE void fffa_on_free(struct sk_buff *skb, __u32 reason, const struct sock *receiver, const int direct)
{
	const struct fffa_noted at = fffa_find_note(skb);
	const struct net *net = fffa_netns_of(skb, receiver, direct);
	struct fffa_note *n = at.note;
	const int noted = fffa_noting(direct);
	if (n && !noted) {
		fffa_forget_note(at);
		n = 0;
	}
	if (n && net && fffa_address(net) != n->netns) { /* of another namespace: this address was used again */
		fffa_forget_note(at);
		return;
	}
	if (skb->protocol != __builtin_bswap16(FFFA_ETH_IPV4) && skb->protocol != __builtin_bswap16(FFFA_ETH_IPV6))
		return;
	if (!n) {
		const int refused = reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NETFILTER_DROP);
		/* at its IP header: else it is no hook of the IP layer that has it */
		if (refused && !noted && net && net->ns.inum == our_netns && skb->data == fffa_network_header(skb))
			fffa_refuse_unnoted(skb, reason, direct);
		else
			fffa_count_free(skb, net, reason, direct);
		return;
	}
	const int inside = (FFFA_READ_ONCE(*at.word) & FFFA_STAGE_MASK) == FFFA_IN_HOOK;
	const int unsaid = reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NOT_SPECIFIED);
	if (inside && unsaid && n->super) { /* cut into packets, which are queued instead */
		fffa_forget_note(at);
		return;
	}
	if (inside && unsaid) n->queued |= (__u8)(1 << n->hook);
	if (reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NETFILTER_DROP) || (inside && unsaid)) {
		fffa_refuse(n, skb, reason, direct);
	} else if (n->known && n->key.ifindex) {
		const int direction = n->local ? FFFA_EGRESS : FFFA_INGRESS;
		struct fffa_verdicts *v = fffa_verdicts_of(&n->key, n->packets, direction);
		if (v) fffa_count_freed(&v->side[direction & 1], n->packets, reason);
	}
	fffa_forget_note(at);
}

/* ---- kernel 6.4 and newer: links at both ends of each hook ---- */

SEC("?netfilter")
int fffa_hook_begin(struct bpf_nf_ctx *ctx)
{
	fffa_enter_hook(ctx->skb, ctx->state, ctx->state->hook + 1u, FFFA_PLAIN_LOADS | FFFA_BY_DYNPTR);
	return 1; /* NF_ACCEPT */
}

SEC("?netfilter")
int fffa_hook_end(struct bpf_nf_ctx *ctx)
{
	fffa_leave_hook(ctx->skb, ctx->state, ctx->state->hook + 1u, FFFA_PLAIN_LOADS | FFFA_BY_DYNPTR);
	return 1;
}

SEC("?tp_btf/kfree_skb")
int fffa_freed(__u64 *ctx) /* skb, location, reason */
{
	fffa_on_free((struct sk_buff *)ctx[0], (__u32)ctx[2], 0, FFFA_PLAIN_LOADS | FFFA_OUT_OF_LINE);
	return 0;
}

SEC("?tp_btf/kfree_skb")
int fffa_freed_for(__u64 *ctx) /* and the receiving socket: kernel 6.11 */
{
	fffa_on_free((struct sk_buff *)ctx[0], (__u32)ctx[2], (const struct sock *)ctx[3],
		     FFFA_PLAIN_LOADS | FFFA_OUT_OF_LINE);
	return 0;
}

#endif
