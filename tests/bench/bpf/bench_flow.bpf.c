// SPDX-License-Identifier: GPL-2.0
/* The flow programs, and entry points that feed them streams. */
#include "../../../bpf/programs/flow.bpf.c"

#include "stream.h"

/* One function for each direction: inlined together they would need too much stack. */
#define WAY(name, context, on, direction)                   \
  static __attribute__((noinline)) int name(context* ctx) { \
    on(ctx, direction);                                     \
    return 0;                                               \
  }
WAY(xdp_forth, struct xdp_md, fffa_on_xdp, FFFA_INGRESS)
WAY(xdp_back, struct xdp_md, fffa_on_xdp, FFFA_EGRESS)
WAY(tc_forth, struct __sk_buff, fffa_on_skb, FFFA_EGRESS)
WAY(tc_back, struct __sk_buff, fffa_on_skb, FFFA_INGRESS)

SEC("xdp.frags")
int stream_xdp(struct xdp_md* ctx) {
  if (stream_write((__u8*)(long)ctx->data, (__u8*)(long)ctx->data_end))
    xdp_back(ctx);
  else
    xdp_forth(ctx);
  return XDP_PASS;
}

SEC("tc")
int stream_tc(struct __sk_buff* skb) {
  if (stream_write((__u8*)(long)skb->data, (__u8*)(long)skb->data_end))
    tc_back(skb);
  else
    tc_forth(skb);
  return FFFA_TCX_NEXT;
}
