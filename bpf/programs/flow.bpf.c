// SPDX-License-Identifier: GPL-2.0
/* Flow monitoring at XDP and TC: passive, every packet goes on unchanged. See ../README.md. */
#include "flow_count.h"
#include "netfilter.h"
#include "netfilter_traced.h"

#define FFFA_PULL 512 /* headers in front of the innermost payload, generously */

FFFA_INLINE struct fffa_frame fffa_xdp_frame(struct xdp_md *ctx)
{
	const struct fffa_frame frame = {
		.data = (const __u8 *)(long)ctx->data,
		.end = (const __u8 *)(long)ctx->data_end,
		.length = (__u32)(ctx->data_end - ctx->data),
		.segments = 1,
		.ifindex = ctx->ingress_ifindex,
		.tunnels = open_tunnels,
	};
	return frame;
}

FFFA_INLINE struct fffa_frame fffa_skb_frame(struct __sk_buff *skb, __u32 segments)
{
	const struct fffa_frame frame = {
		.data = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.length = skb->len,
		.segments = segments ? segments : 1,
		.ifindex = skb->ifindex,
		.tunnels = open_tunnels,
		.vlan = skb->vlan_present ? (__u16)(FFFA_VLAN_PRESENT | (skb->vlan_tci & 0x0fff)) : 0,
	};
	return frame;
}

/* ---- what few packets need: global functions, verified once, by themselves ---- */

/* With all of the packet's length: it may be longer than its first buffer. */
FFFA_INLINE struct fffa_frame fffa_xdp_whole(struct xdp_md *ctx)
{
	struct fffa_frame frame = fffa_xdp_frame(ctx);
	frame.length = (__u32)bpf_xdp_get_buff_len(ctx);
	return frame;
}
FFFA_INLINE struct fffa_frame fffa_skb_whole(struct __sk_buff *skb) { return fffa_skb_frame(skb, skb->gso_segs); }

#define FFFA_STEP(kind, context, step) \
	__attribute__((noinline)) int fffa_##kind##_##step(context *ctx, struct fffa_packet *p) \
	{ \
		const struct fffa_frame frame = fffa_##kind##_whole(ctx); \
		if (p) fffa_step_##step(&frame, p, p->direction); \
		return 0; \
	}
/* And the first step of all: everything once more. */
#define FFFA_STEPS(kind, context) \
	FFFA_STEP(kind, context, extensions) \
	FFFA_STEP(kind, context, fragment) \
	FFFA_STEP(kind, context, transport) \
	FFFA_STEP(kind, context, tunnel) \
	FFFA_STEP(kind, context, inner) \
	FFFA_STEP(kind, context, options) \
	__attribute__((noinline)) int fffa_##kind##_again(context *ctx, struct fffa_packet *p) \
	{ \
		struct fffa_frame frame = fffa_##kind##_whole(ctx); \
		if (!p) return FFFA_OK; \
		frame.at_sender = p->at_sender; \
		return fffa_parse_first(&frame, p, p->direction); \
	}
#define FFFA_DO_STEPS(kind, ctx, p) \
	FFFA_DO_PENDING(p, fffa_##kind##_extensions(ctx, p), fffa_##kind##_fragment(ctx, p), \
			fffa_##kind##_transport(ctx, p), fffa_##kind##_tunnel(ctx, p), fffa_##kind##_inner(ctx, p), \
			fffa_##kind##_options(ctx, p))
FFFA_STEPS(xdp, struct xdp_md)
FFFA_STEPS(skb, struct __sk_buff)

#define FFFA_KNOW_FRAGMENTS(p) \
	do { \
		if ((p)->outer_fragment) fffa_know_outer_fragment(p); \
		if ((p)->fragment == FFFA_FRAGMENT_FIRST) fffa_know_first_fragment(p); \
		if ((p)->fragment == FFFA_FRAGMENT_LATER) fffa_know_later_fragment(p); \
	} while (0)

/* A packet that the common way has not dealt with: there is something pending, or some of it was not there. */
__attribute__((noinline)) int fffa_xdp_slow(struct xdp_md *ctx, struct fffa_packet *p)
{
	int reason = FFFA_OK;
	if (!p) return reason;
	if (p->cut || p->pending == FFFA_PENDING_ALL) reason = fffa_xdp_again(ctx, p);
	if (reason) return reason;
	FFFA_DO_STEPS(xdp, ctx, p);
	FFFA_KNOW_FRAGMENTS(p);
	return FFFA_OK;
}

/* Likewise; `reason` is that of the common way. Fetches headers into the linear part where they are not. */
__attribute__((noinline)) int fffa_skb_slow(struct __sk_buff *ctx, struct fffa_packet *p, int reason)
{
	if (!p) return FFFA_OK;
	if (!reason && !p->cut && p->pending != FFFA_PENDING_ALL) {
		FFFA_DO_STEPS(skb, ctx, p);
		if (!p->cut) goto done;
	}
	const __u32 length = ctx->len;
	if (length > ctx->data_end - ctx->data) bpf_skb_pull_data(ctx, length < FFFA_PULL ? length : FFFA_PULL);
	reason = fffa_skb_again(ctx, p); /* what could not be fetched is cut still */
	if (reason) return reason;
	FFFA_DO_STEPS(skb, ctx, p);
done:
	FFFA_KNOW_FRAGMENTS(p);
	return FFFA_OK;
}

/* A virtual machine's super-packet lacks the number of its segments: its host leaves that to whoever cuts it. */
__attribute__((noinline)) int fffa_skb_segments(struct __sk_buff *ctx, struct fffa_packet *p)
{
	const __u32 size = ctx->gso_size;
	if (!p || !size || ctx->gso_segs || p->bytes <= p->headers) return 0;
	p->packets = (p->bytes - p->headers + size - 1) / size;
	return 0;
}

/* ---- the common way ---- */

FFFA_INLINE void fffa_on_xdp(struct xdp_md *ctx, const int direction)
{
	struct fffa_packet packet;
	const struct fffa_frame frame = fffa_xdp_frame(ctx);
	int reason = fffa_parse_quick(&frame, &packet, direction, FFFA_ETHERNET);
	if (fffa_unlikely(!reason && (packet.pending | packet.cut))) {
		if (packet.pending == FFFA_PENDING_OPTIONS && !packet.cut)
			fffa_xdp_options(ctx, &packet);
		else
			reason = fffa_xdp_slow(ctx, &packet);
	}
	if (fffa_likely(!reason))
		fffa_count_packet(&packet, direction);
	else
		fffa_count_filtered(frame.ifindex, (__u32)reason, 1, frame.length, direction);
}

FFFA_INLINE void fffa_on_skb(struct __sk_buff *skb, const int direction)
{
	struct fffa_packet packet;
	const __u32 super = skb->gso_size;
	struct fffa_frame frame = fffa_skb_frame(skb, super ? skb->gso_segs : 1);
	frame.at_sender = direction == FFFA_EGRESS && !skb->ingress_ifindex; /* not forwarded */
	int reason = fffa_parse_quick(&frame, &packet, direction, FFFA_ETHERNET);
	if (fffa_unlikely(reason ? fffa_is_cut(reason) : packet.pending | packet.cut)) {
		if (!reason && packet.pending == FFFA_PENDING_OPTIONS && !packet.cut)
			fffa_skb_options(skb, &packet);
		else
			reason = fffa_skb_slow(skb, &packet, reason);
	}
	if (fffa_unlikely(super && !reason)) fffa_skb_segments(skb, &packet);
	if (fffa_likely(!reason))
		fffa_count_packet(&packet, direction);
	else
		fffa_count_filtered(skb->ifindex, (__u32)reason, skb->gso_segs ? skb->gso_segs : 1, skb->len,
				    direction);
}

SEC("xdp.frags")
int fffa_xdp_ingress(struct xdp_md *ctx)
{
	fffa_on_xdp(ctx, FFFA_INGRESS);
	return XDP_PASS;
}

SEC("tc")
int fffa_tc_ingress(struct __sk_buff *skb)
{
	fffa_on_skb(skb, FFFA_INGRESS);
	return FFFA_TCX_NEXT;
}

SEC("tc")
int fffa_tc_egress(struct __sk_buff *skb)
{
	fffa_on_skb(skb, FFFA_EGRESS);
	return FFFA_TCX_NEXT;
}

struct fffa_drain_run {
	__u64 now_ns;
	struct fffa_drain_result result;
};

FFFA_NOINLINE long fffa_drain_one(__u32 i, struct fffa_drain_run *run)
{
	__u32 index = drain_request.start + i, out = run->result.records;
	if (drain_request.flags & FFFA_DRAIN_LIST) index = drain_list[i % FFFA_DRAIN_CHUNK];
	struct fffa_flow *f = bpf_map_lookup_elem(&flows, &index);
	struct fffa_drain_record *record = bpf_map_lookup_elem(&drain_records, &out);
	if (!f || !record) return 1;
	struct fffa_tunnel *tunnel = bpf_map_lookup_elem(&tunnels, &index);
	struct fffa_verdicts *verdicts = with_verdicts ? bpf_map_lookup_elem(&verdict_table, &index) : 0;
	const int drained =
		fffa_drain_flow(FFFA_TABLE, index, f, tunnel, verdicts, &drain_request, run->now_ns, record);
	run->result.records += (drained & FFFA_DRAINED_RECORD) != 0;
	run->result.deleted += (drained & FFFA_DRAINED_DELETED) != 0;
	run->result.busy += (drained & FFFA_DRAINED_BUSY) != 0;
	run->result.in_use += (drained & FFFA_DRAINED_IN_USE) != 0;
	return 0;
}

/* Run by user space through BPF_PROG_TEST_RUN, which keeps softirqs off: the packet programs cannot interrupt it. One
 * at a time. */
SEC("tc")
int fffa_drain(struct __sk_buff *skb)
{
	(void)skb;
	struct fffa_drain_run run = {.now_ns = drain_request.now_ns ? drain_request.now_ns : fffa_now()};
	const __u32 count = drain_request.count < FFFA_DRAIN_CHUNK ? drain_request.count : FFFA_DRAIN_CHUNK;
	bpf_loop(count, fffa_drain_one, &run, 0);
	drain_result = run.result;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
