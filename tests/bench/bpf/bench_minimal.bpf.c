// SPDX-License-Identifier: GPL-2.0
/* The minimal programs, and entry points that feed them the same streams. */
#include "../anchors/minimal.bpf.c"

#include "stream.h"

/* Called as the flow programs are in bench_flow.bpf.c, so that both pay for one call more than their own entry points
 * do. */
static __attribute__((noinline)) int count_xdp(struct xdp_md* ctx) {
  count((void*)(long)ctx->data, (void*)(long)ctx->data_end, ctx->ingress_ifindex, ctx->data_end - ctx->data);
  return 0;
}

static __attribute__((noinline)) int count_tc(struct __sk_buff* skb) {
  count((void*)(long)skb->data, (void*)(long)skb->data_end, skb->ifindex, skb->len);
  return 0;
}

SEC("xdp")
int stream_xdp(struct xdp_md* ctx) {
  stream_write((__u8*)(long)ctx->data, (__u8*)(long)ctx->data_end);
  count_xdp(ctx);
  return XDP_PASS;
}

SEC("tc")
int stream_tc(struct __sk_buff* skb) {
  stream_write((__u8*)(long)skb->data, (__u8*)(long)skb->data_end);
  count_tc(skb);
  return 0;
}
