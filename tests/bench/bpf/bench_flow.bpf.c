// SPDX-License-Identifier: GPL-2.0
/* The flow programs, and entry points that feed them streams. */
#include "../../../bpf/programs/flow.bpf.c"

#include "stream.h"

static __attribute__((noinline)) int xdp_back(struct xdp_md *ctx)
{
	fffa_on_xdp(ctx, FFFA_EGRESS);
	return 0;
}

static __attribute__((noinline)) int tc_back(struct __sk_buff *skb)
{
	fffa_on_skb(skb, FFFA_INGRESS);
	return 0;
}

SEC("xdp.frags")
int stream_xdp(struct xdp_md *ctx)
{
	if (stream_write((__u8 *)(long)ctx->data, (__u8 *)(long)ctx->data_end))
		xdp_back(ctx);
	else
		fffa_on_xdp(ctx, FFFA_INGRESS);
	return XDP_PASS;
}

SEC("tc")
int stream_tc(struct __sk_buff *skb)
{
	if (stream_write((__u8 *)(long)skb->data, (__u8 *)(long)skb->data_end))
		tc_back(skb);
	else
		fffa_on_skb(skb, FFFA_EGRESS);
	return FFFA_TCX_NEXT;
}
