#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
extend.py CAPTURE - what fffa defines and oracle.py has no figure for, from the same tshark fields: one JSON object a TCP flow.

  src dst sport dport proto       as in oracle.py
  window_min window_max window_last
                    receive window in bytes over all packets but RST: scaled by the shift that both SYNs of the connection offered, where
                    both were captured; a SYN's own window is never scaled. null: only RSTs
  jitter_max_us jitter_sum_us jitter_samples
                    abs(interval(i) - interval(i-1)) between packets of the flow; a pause over 1 s starts afresh. In nanoseconds / 1000.
                    Not given (null) where the flow was seen on several paths, or the capture's clock goes back in it
  rtt_min_us rtt_max_us
                    over every segment sent once (SYN, data, FIN) and the first ACK of the other side that covers its end, but not what was
                    under way when something was sent again or came late: the range in which each sample must lie. null: none
  handshakes_us     first SYN of a connection to the ACK that completes its handshake, for each connection of this 5-tuple. One begins with
                    a SYN of another initial sequence number, or after a reset or a FIN of both sides
"""
import collections
import json
import os
import sys
import tempfile

import oracle
from oracle import ACK, FIN, RST, SYN, num, occ

PAUSE_NS = 10**9


class Direction:
    def __init__(self):
        self.offer, self.synced = None, False
        self.sent = []      # (end, time, times sent) of segments not acknowledged yet
        self.ranges = oracle.Ranges()
        self.rtt = []


class Handshakes:
    """Of one 5-tuple, both directions."""
    def __init__(self):
        self.found = []
        self.begin(None, None, None)

    def begin(self, client, number, time):
        self.client, self.number, self.time = client, number, time
        self.answer, self.done, self.ended, self.fins = None, False, False, set()

    def packet(self, k):
        flags, seq, ack = (num(occ(k.ana, f)) for f in ("tcp.flags", "tcp.seq_raw", "tcp.ack_raw"))
        if flags & SYN and not flags & ACK:
            if self.client != k.key or self.number != seq or self.ended:
                self.begin(k.key, seq, k.t)
        elif flags & SYN and self.client == k.rev and self.answer is None and not self.ended:
            self.answer = seq
        elif flags & ACK and not flags & (SYN | RST) and k.key == self.client and not self.done:
            if self.answer is not None and ack == (self.answer + 1) & 0xffffffff:
                self.done = True
                self.found.append(k.t - self.time)
        if flags & FIN:
            self.fins.add(k.key)
        self.ended = self.ended or bool(flags & RST) or len(self.fins) == 2


class Flow:
    def __init__(self):
        self.windows = []
        self.rtt = []
        self.paths = collections.defaultdict(list)


def seq_diff(a, b):
    d = (a - b) & 0xffffffff
    return d - (1 << 32) if d >= 1 << 31 else d


def window(packet, mine, theirs):
    row, flags = packet.ana, num(occ(packet.ana, "tcp.flags"))
    raw = num(occ(row, "tcp.window_size_value"))
    if flags & SYN:
        return raw
    agreed = mine.synced and theirs.synced and None not in (mine.offer, theirs.offer)
    return raw << min(mine.offer, 14) if agreed else raw


def track(packet, mine, theirs, flow, peer):
    row = packet.ana
    flags, seq, ack = (num(occ(row, f)) for f in ("tcp.flags", "tcp.seq_raw", "tcp.ack_raw"))
    length = (num(occ(row, "tcp.len")) or 0) + bool(flags & SYN) + bool(flags & FIN)
    if flags & SYN:
        mine.synced, mine.offer = True, num(occ(row, "tcp.options.wscale.shift"))
    if not flags & RST:
        flow.windows.append(window(packet, mine, theirs))
    if length and not flags & RST:
        kind, _ = mine.ranges.add(seq, length)
        end = seq + length
        if kind in ("in_order", "behind_empty"):
            mine.sent.append((end, packet.t))
        else:  # what answers from here on may answer this one
            mine.sent = []
    if flags & ACK:
        for end, t in [s for s in theirs.sent if seq_diff(ack, s[0]) >= 0]:
            peer.rtt.append(packet.t - t)
        theirs.sent = [s for s in theirs.sent if seq_diff(ack, s[0]) < 0]


def jitter(times):
    last = interval = None
    samples = []
    for t in times:
        if last is not None:
            gap = max(t - last, 0)
            if gap > PAUSE_NS:
                interval = None
            else:
                if interval is not None:
                    samples.append(abs(gap - interval))
                interval = gap
        last = t if last is None else max(last, t)
    return samples


def main():
    path = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "config")
        os.mkdir(config)
        oracle.make_config(config)
        packets = [k for k in map(oracle.parse, oracle.tshark(path, config)) if not isinstance(k, str)]
        oracle.assign_fragments(packets, "track")
        oracle.split_paths(path, packets, config, folder)
    flows, sides = collections.OrderedDict(), collections.defaultdict(Direction)
    handshakes = collections.defaultdict(Handshakes)
    seen = collections.defaultdict(set)
    for k in packets:
        seen[k.key].add(k.path)
    mixed = {frozenset((k.key, k.rev)) for k in packets if len(seen[k.key]) > 1}  # on several paths, as oracle.py has it
    for k in packets:
        if not k.tcp:
            continue
        stream = k.ana["tcp.stream"].split(oracle.SEP)[0]
        for key in (k.key, k.rev):
            if key == k.key or key in flows:
                flows.setdefault(key, Flow())
        flow = flows[k.key]
        flow.paths[k.path].append(k.t)
        handshakes[frozenset((k.key, k.rev)), k.path if frozenset((k.key, k.rev)) in mixed else None].packet(k)
        track(k, sides[k.key, stream], sides[k.rev, stream], flow, flows.get(k.rev, Flow()))
    for key, flow in flows.items():
        times = next(iter(flow.paths.values()))
        samples = jitter(times) if len(flow.paths) == 1 and times == sorted(times) else None
        print(json.dumps({
            **dict(zip(("src", "dst", "sport", "dport", "proto"), key)),
            "window_min": min(flow.windows, default=None), "window_max": max(flow.windows, default=None),
            "window_last": flow.windows[-1] if flow.windows else None,
            "jitter_max_us": None if samples is None else max(samples, default=0) / 1000,
            "jitter_sum_us": None if samples is None else sum(samples) / 1000,
            "jitter_samples": None if samples is None else len(samples),
            "handshakes_us": sorted(t / 1000 for (pair, _), h in handshakes.items() if key in pair for t in h.found),
            "rtt_min_us": min(flow.rtt) / 1000 if flow.rtt else None, "rtt_max_us": max(flow.rtt) / 1000 if flow.rtt else None,
        }, separators=(",", ":")))


if __name__ == "__main__":
    main()
