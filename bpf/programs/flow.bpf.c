// SPDX-License-Identifier: GPL-2.0
/* Flow monitoring at XDP and TC: passive, every packet goes on unchanged. See ../README.md. */
#include "flow_count.h"

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

FFFA_INLINE struct fffa_frame fffa_skb_frame(struct __sk_buff *skb)
{
	const __u32 segments = skb->gso_segs;
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

/* One of the parser's steps as a global function: the verifier looks at each of them once. */
#define FFFA_STEP(kind, context, step) \
	__attribute__((noinline)) int fffa_##kind##_##step(context *ctx, struct fffa_packet *p) \
	{ \
		const struct fffa_frame frame = fffa_##kind##_frame(ctx); \
		if (p) fffa_step_##step(&frame, p, p->direction); \
		return 0; \
	}
/* A tunnel's header and what is in it, for one direction: every call and every choice at run time costs. */
#define FFFA_TUNNEL_STEP(kind, context, name, way) \
	__attribute__((noinline)) int fffa_##kind##_tunnel_##name(context *ctx, struct fffa_packet *p) \
	{ \
		const struct fffa_frame frame = fffa_##kind##_frame(ctx); \
		if (!p) return 0; \
		fffa_step_tunnel(&frame, p, way); \
		if (p->pending & FFFA_PENDING_INNER) fffa_step_inner(&frame, p, way); \
		return 0; \
	}
FFFA_STEP(xdp, struct xdp_md, extensions)
FFFA_STEP(xdp, struct xdp_md, transport)
FFFA_STEP(xdp, struct xdp_md, options)
FFFA_TUNNEL_STEP(xdp, struct xdp_md, in, FFFA_INGRESS)
FFFA_TUNNEL_STEP(xdp, struct xdp_md, out, FFFA_EGRESS)
FFFA_STEP(skb, struct __sk_buff, extensions)
FFFA_STEP(skb, struct __sk_buff, transport)
FFFA_STEP(skb, struct __sk_buff, options)
FFFA_TUNNEL_STEP(skb, struct __sk_buff, in, FFFA_INGRESS)
FFFA_TUNNEL_STEP(skb, struct __sk_buff, out, FFFA_EGRESS)

FFFA_INLINE void fffa_xdp_pending(struct xdp_md *ctx, struct fffa_packet *p, const int direction)
{
	FFFA_DO_PENDING(p, fffa_xdp_extensions(ctx, p), fffa_xdp_transport(ctx, p),
			direction == FFFA_INGRESS ? fffa_xdp_tunnel_in(ctx, p) : fffa_xdp_tunnel_out(ctx, p), (void)0,
			fffa_xdp_options(ctx, p));
}

FFFA_INLINE void fffa_skb_pending(struct __sk_buff *ctx, struct fffa_packet *p, const int direction)
{
	FFFA_DO_PENDING(p, fffa_skb_extensions(ctx, p), fffa_skb_transport(ctx, p),
			direction == FFFA_INGRESS ? fffa_skb_tunnel_in(ctx, p) : fffa_skb_tunnel_out(ctx, p), (void)0,
			fffa_skb_options(ctx, p));
}

/* The first look once more, with all of the packet's length: is it longer than its first buffer? */
__attribute__((noinline)) int fffa_xdp_again(struct xdp_md *ctx, struct fffa_packet *p)
{
	struct fffa_frame frame = fffa_xdp_frame(ctx);
	frame.length = (__u32)bpf_xdp_get_buff_len(ctx);
	return p ? fffa_parse_first(&frame, p, p->direction) : FFFA_OK;
}

/* The first look once more, after headers were fetched into the linear part. */
__attribute__((noinline)) int fffa_skb_again(struct __sk_buff *ctx, struct fffa_packet *p)
{
	struct fffa_frame frame = fffa_skb_frame(ctx);
	if (!p) return FFFA_OK;
	frame.at_sender = p->at_sender;
	return fffa_parse_first(&frame, p, p->direction);
}

/* A virtual machine's super-packet lacks the number of its segments: its host leaves that to whoever cuts it. */
__attribute__((noinline)) int fffa_skb_segments(struct __sk_buff *ctx, struct fffa_packet *p)
{
	const __u32 size = ctx->gso_size;
	if (!p || !size || p->bytes <= p->headers) return 0;
	p->packets = (p->bytes - p->headers + size - 1) / size;
	return 0;
}

FFFA_INLINE void fffa_on_xdp(struct xdp_md *ctx, const int direction)
{
	struct fffa_packet packet;
	const struct fffa_frame frame = fffa_xdp_frame(ctx);
	int reason = fffa_parse_first(&frame, &packet, direction);
	if (fffa_unlikely(!reason && packet.cut)) reason = fffa_xdp_again(ctx, &packet);
	if (fffa_unlikely(!reason && packet.pending)) fffa_xdp_pending(ctx, &packet, direction);
	if (fffa_likely(!reason))
		fffa_count_packet(&packet, direction);
	else
		fffa_count_filtered(frame.ifindex, (__u32)reason, 1, frame.length, direction);
}

FFFA_INLINE void fffa_on_skb(struct __sk_buff *skb, const int direction)
{
	struct fffa_packet packet;
	struct fffa_frame frame = fffa_skb_frame(skb);
	frame.at_sender = direction == FFFA_EGRESS && !skb->ingress_ifindex; /* not forwarded */
	int reason = fffa_parse_first(&frame, &packet, direction);
	if (fffa_unlikely(!reason && packet.pending)) fffa_skb_pending(skb, &packet, direction);
	if (fffa_unlikely(reason ? fffa_is_cut(reason) : packet.cut)) {
		const __u32 length = skb->len;
		if (length > skb->data_end - skb->data &&
		    !bpf_skb_pull_data(skb, length < FFFA_PULL ? length : FFFA_PULL)) {
			reason = fffa_skb_again(skb, &packet);
			if (!reason && packet.pending) fffa_skb_pending(skb, &packet, direction);
		}
	}
	if (fffa_unlikely(!reason && !skb->gso_segs && skb->gso_size)) fffa_skb_segments(skb, &packet);
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
	const int drained = fffa_drain_flow(FFFA_TABLE, index, f, tunnel, &drain_request, run->now_ns, record);
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
