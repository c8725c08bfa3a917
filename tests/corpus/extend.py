#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
extend.py CAPTURE - what fffa defines and oracle.py has no figure for, from the same tshark fields: one JSON object a flow.

  src dst sport dport proto       as in oracle.py
  initiator         true if this direction opened the connection: it sent the SYN, or the other one the SYN/ACK; else the first packet.
                    null where there is no one answer: several connections or paths, or neither ports nor TCP (ICMP, fragments)
  gwlb              of GENEVE options of class 0x0108, the data of types 1 (endpoint), 2 (attachment) and 3 (flow cookie) in hex, each the
                    last one seen; null: none. Of the outermost GENEVE header
TCP flows only:
  vpc_tcp_flags     AWS's tcp-flags: OR over the packets of FIN 1, SYN 2, RST 4, and 16 for SYN and ACK in one packet
  conn_state        by the definitions in Zeek's documentation (conn.log), class State; null where not exactly one connection was seen.
                    A reset after the FINs of both sides changes nothing: the connection had ended normally
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


class State:
    """Of one connection, both directions: what its packets show, in their order."""
    def __init__(self):
        self.first = self.opener = self.reset = None
        self.syn = self.answer = self.again = False
        self.fins, self.numbers, self.paths, self.streams = set(), set(), set(), set()

    def packet(self, k):
        self.first = self.first or k.key
        self.paths.add(k.path)
        if not k.tcp:
            return
        self.streams.add(k.ana["tcp.stream"].split(oracle.SEP)[0])
        flags = num(occ(k.ana, "tcp.flags"))
        if flags & SYN and not flags & ACK:
            self.again = self.again or self.ended()
            if not self.syn:
                self.opener, self.syn = k.key, True
            self.answer = self.answer or k.key != self.opener  # both open it
            self.numbers.add((k.key, num(occ(k.ana, "tcp.seq_raw"))))
        elif flags & SYN:
            self.opener = self.opener or k.rev
            self.answer = self.answer or k.key != self.opener
        if flags & FIN:
            self.fins.add(k.key)
        if flags & RST and not self.ended():
            self.reset = (k.key, self.answer)

    def ended(self):
        return self.reset is not None or len(self.fins) == 2

    def single(self):
        return not self.again and len(self.paths) == 1 and len(self.streams) <= 1 and len(self.numbers) <= 1

    def initiator(self):
        return self.opener or self.first

    def name(self):
        if self.opener is None:
            return "OTH"  # no SYN seen, just midstream traffic
        closed = self.opener in self.fins, bool(self.fins - {self.opener})
        by_opener, answered = (self.reset[0] == self.opener, self.reset[1]) if self.reset else (None, self.answer)
        if not self.syn:  # the SYN/ACK, but never the SYN
            return "RSTRH" if by_opener is False else "SHR" if closed[1] and self.reset is None else "OTH"
        if self.reset:
            return ("RSTO" if answered else "RSTOS0") if by_opener else ("RSTR" if answered else "REJ")
        if not answered:
            return "SH" if closed[0] else "S0"
        return {(True, True): "SF", (True, False): "S2", (False, True): "S3", (False, False): "S1"}[closed]


def gwlb_of(packets):
    """The last data of each GWLB option."""
    last = {}
    for k in packets:
        data = bytes.fromhex(k.gen[2].replace(":", "")) if k.outer else b""
        at = 0
        while at + 4 <= len(data):
            size = (data[at + 3] & 0x1f) * 4
            if data[at:at + 2] == b"\x01\x08":
                last[data[at + 2] & 0x7f] = data[at + 4:at + 4 + size].hex()
            at += 4 + size
    return {name: last.get(kind) for kind, name in ((1, "endpoint"), (2, "attachment"), (3, "cookie"))} if last else None


class Flow:
    def __init__(self):
        self.windows = []
        self.vpc = 0
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
    flow.vpc |= flags & (FIN | SYN | RST) | (16 if flags & SYN and flags & ACK else 0)
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
    handshakes, states, all_of = collections.defaultdict(Handshakes), collections.defaultdict(State), collections.defaultdict(list)
    for k in packets:
        all_of[k.key].append(k)
        states[frozenset((k.key, k.rev))].packet(k)
    mixed = {pair for pair in states if any(len({k.path for k in all_of[key]}) > 1 for key in pair if key in all_of)}  # as oracle.py has it
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
    for key, ks in all_of.items():
        state = states[frozenset((key, ks[0].rev))]
        told = state.single() and (key in flows or (key[2] or key[3]))
        record = {**dict(zip(("src", "dst", "sport", "dport", "proto"), key)),
                  "initiator": state.initiator() == key if told else None, "gwlb": gwlb_of(ks)}
        if key in flows:
            record |= tcp_figures(key, flows[key], handshakes, state)
        print(json.dumps(record, separators=(",", ":")))


def tcp_figures(key, flow, handshakes, state):
    times = next(iter(flow.paths.values()))
    samples = jitter(times) if len(flow.paths) == 1 and times == sorted(times) else None
    return {
        "vpc_tcp_flags": flow.vpc, "conn_state": state.name() if state.single() else None,
        "window_min": min(flow.windows, default=None), "window_max": max(flow.windows, default=None),
        "window_last": flow.windows[-1] if flow.windows else None,
        "jitter_max_us": None if samples is None else max(samples, default=0) / 1000,
        "jitter_sum_us": None if samples is None else sum(samples) / 1000,
        "jitter_samples": None if samples is None else len(samples),
        "handshakes_us": sorted(t / 1000 for (pair, _), h in handshakes.items() if key in pair for t in h.found),
        "rtt_min_us": min(flow.rtt) / 1000 if flow.rtt else None, "rtt_max_us": max(flow.rtt) / 1000 if flow.rtt else None,
    }


if __name__ == "__main__":
    main()
