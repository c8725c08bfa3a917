/* SPDX-License-Identifier: GPL-2.0 */
/* Makes one test packet into a stream of different ones; the same code runs in front of every program that is compared.
 */
#ifndef FFFA_BENCH_STREAM_H
#define FFFA_BENCH_STREAM_H

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum stream { STREAM_ADVANCING = 1, STREAM_DATA_AND_ACK = 2, STREAM_RANDOM_FLOWS = 3, STREAM_LOSS = 4 };
enum { STREAM_SEGMENT = 60 }; /* bytes of payload */

const volatile __u32 stream_kind = STREAM_ADVANCING;
const volatile __u32 stream_log_flows = 0; /* log2 of the number of flows */
__u64 stream_tick;

struct stream_packet {
  __u32 source;
  __u32 seq;
  __u32 ack;
  __u16 length;
  __u8 flags;
  __u8 back; /* goes the other way */
};

/* Every flow once a round, in an order that differs from round to round: nothing that a prefetcher could learn. */
static __always_inline __u32 stream_flow(__u64 tick) {
  const __u32 mask = (1u << stream_log_flows) - 1, half = (stream_log_flows + 1) / 2;
  const __u32 round = (__u32)(tick >> stream_log_flows);
  __u32 id = (__u32)tick & mask;
  id = (id * (round * 0x9e3779b9u | 1)) & mask;
  id ^= id >> half;
  id = (id * 0x85ebca6bu) & mask;
  id ^= id >> half;
  return (id * (round * 0xc2b2ae35u | 1)) & mask;
}

static __always_inline struct stream_packet stream_next(void) {
  const __u64 tick = stream_tick++;
  __u32 n = (__u32)tick;
  struct stream_packet p = {
      .source = 0x0b000000, .seq = 1000, .ack = 7777, .length = 40 + STREAM_SEGMENT, .flags = 0x18};
  if (stream_kind == STREAM_RANDOM_FLOWS) {
    p.source += stream_flow(tick);
    n = (__u32)(tick >> stream_log_flows);
  } else if (stream_kind == STREAM_DATA_AND_ACK && (n & 1)) {
    p.back = 1;
    p.seq = 7777;
    p.ack = 1000 + (n / 2 + 1) * STREAM_SEGMENT;
    p.length = 40;
    p.flags = 0x10;
    return p;
  } else if (stream_kind == STREAM_DATA_AND_ACK) {
    n /= 2;
  } else if (stream_kind == STREAM_LOSS) { /* of every twelve segments, four are skipped and come after the others */
    const __u32 at = n % 12;
    n = n / 12 * 16 + (at < 8 ? at * 2 : (at - 8) * 2 + 1);
  }
  p.seq += n * STREAM_SEGMENT;
  return p;
}

/* Rewrites the Ethernet, IPv4 and TCP headers at `data`. Returns whether the packet goes the other way. */
static __attribute__((noinline)) int stream_write(__u8* data, __u8* end) {
  if (data + 54 > end) return 0;
  const struct stream_packet p = stream_next();
  const __u32 local = bpf_htonl(0x0a010000), remote = bpf_htonl(p.source);
  const __u16 remote_port = bpf_htons(40000), local_port = bpf_htons(443);
  *(__u16*)(data + 16) = bpf_htons(p.length);
  *(__u32*)(data + 26) = p.back ? local : remote;
  *(__u32*)(data + 30) = p.back ? remote : local;
  *(__u16*)(data + 34) = p.back ? local_port : remote_port;
  *(__u16*)(data + 36) = p.back ? remote_port : local_port;
  *(__u32*)(data + 38) = bpf_htonl(p.seq);
  *(__u32*)(data + 42) = bpf_htonl(p.ack);
  data[47] = p.flags;
  return p.back;
}

#endif
