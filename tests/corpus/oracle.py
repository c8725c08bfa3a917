#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
oracle.py - reference flow records for a capture file, computed from tshark.

usage:  oracle.py [options] PCAP            (JSON lines on stdout, one per flow)

  --frag {track,zero}  where non-first IP fragments go (default: track)
  --by-stream          one record per (5-tuple, tcp.stream) instead of per 5-tuple
  --no-split-paths     do not re-run tshark per encapsulation path (see PATHS)
  --summary            print a one-line JSON summary of the file on stderr

Needs python3 (standard library only) and tshark >= 4.0 on the PATH.  The
numbers stored next to the captures were made with tshark 4.0.17.

tshark is the source of every header field and of every tcp.analysis.* verdict.
Three things are computed here from tshark's header fields, because tshark has no
such field: the handshake splits, the "seq" block (exact byte accounting), and the
fragment attribution.


HOW TSHARK IS RUN
  * name resolution off (-n), single pass, a private empty configuration folder.
  * every dissector is disabled except link layers, VLAN, MPLS, PPP(oE), IPv4, IPv6
    and its extension headers, TCP, UDP, UDP-Lite, SCTP and GENEVE.  So VXLAN, GRE,
    GTP, ESP/AH, L2TP, ... are opaque, and the packet quoted inside an ICMP error is
    never parsed (it would disturb the TCP analysis).
  * ip/ipv6 defragmentation off, checksum validation off, TCP desegmentation off,
    ip/ipv6 TSO support on, relative sequence numbers on, all other TCP preferences
    at their defaults (in particular "fast retransmission supersedes out-of-order").
  * the capture's own packet order is used; timestamps may go backwards.


WHAT A FLOW IS
  A flow is a unidirectional 5-tuple (src, dst, sport, dport, proto) of one packet
  layer, chosen like this:
    * walk from the link layer (VLAN/QinQ/MPLS/PPPoE headers are skipped) to the first
      IPv4/IPv6 header;
    * if that datagram is UDP to destination port 6081, is dissected as GENEVE version
      0, and the GENEVE payload contains (directly, or after an inner Ethernet/VLAN
      header) an IPv4/IPv6 header, go on with that inner header, and so on (nested
      GENEVE: the innermost);
    * otherwise stop.  IP-in-IP, GRE, VXLAN, ... are therefore the flow of the outer
      header (proto 4, 41, 47, 17, ...).  GENEVE that carries no IP (ARP, LLDP, empty,
      truncated) is the flow of its outer UDP datagram.
  proto is the IPv4 protocol, or for IPv6 the next header behind hop-by-hop, routing,
  fragment and destination-options headers (AH 51, ESP 50, no-next-header 59 and
  mobility 135 count as protocols).
  Ports are those of TCP, UDP, UDP-Lite (136) and SCTP; 0 for everything else (ICMP,
  ICMPv6, GRE, ESP, ...), and 0 where the capture does not hold the ports.
  Frames without a complete, valid IP header (ARP, LLC, bogus IHL, IP length below the
  header length, snapped inside the IP header) belong to no flow; --summary counts them.
  VLAN tags and the outer GENEVE header are NOT part of the key; see "vlans" and "paths".
  A 5-tuple used again later (port reuse) stays one record; "streams" then is > 1 and
  "by_stream" has the TCP metrics of each tcp.stream.


FIELDS OF A RECORD
  src dst sport dport proto   the key (addresses in RFC 5952 form)
  ip_version        4 or 6, of the flow's IP layer
  l2                set of link-layer stacks seen in front of the first IP header, such as
                    "eth", "eth:vlan", "eth:vlan:mpls", "sll", "null", "eth:pppoes:ppp"
  vlans             set of VLAN id stacks seen ("" = untagged, "10", "10,20"), outer GENEVE
                    side and inner side together, in tshark's order
  packets           IP packets of the flow (each fragment is a packet)
  bytes             sum of the IP total length of the flow's IP layer: IPv4 ip.len,
                    IPv6 payload length + 40.  The length in the header, not the captured
                    length: padding is not counted, a snapped packet counts whole.
                    IPv4 ip.len 0 (TSO) counts what was on the wire; a jumbogram counts
                    the jumbo length + 40.
  first_us last_us  earliest and latest frame time, microseconds since 1970 (truncated)
  frag_packets      packets with a fragment header that is not atomic (MF set or offset > 0)
  frag_later_packets frag_later_bytes
                    of these, those with offset > 0, which carry no ports.  With
                    --frag track they are counted in the flow of the first fragment of the
                    same (src, dst, proto, IP id, nearest in time, at most 60 s), before or
                    after it in the file; without one, in the flow with ports 0.
                    With --frag zero always in the flow with ports 0.
  frag_orphans      later fragments that went to this (port 0) flow for want of a first one
  l4_truncated      TCP/UDP/SCTP packets whose ports or whose fixed TCP header are not in the
                    capture (snaplen) or invalid; they count in packets/bytes only
  ip_options        IPv4 packets with a header longer than 20 bytes
  ecn               {"not_ect":n,"ect0":n,"ect1":n,"ce":n} packets by ECN codepoint of the
                    flow's IP layer (not the outer GENEVE one)
  geneve            null, or
     packets            packets of the flow that came in GENEVE
     vnis               sorted list of VNIs
     proto_types        sorted list of GENEVE protocol types ("0x0800", "0x6558", ...)
     opt_bytes_min opt_bytes_max
                        length in bytes of the options area (the header's Opt Len * 4)
     options            sorted list of distinct options "class/type/len-of-data", in hex,
                        hex, decimal: "0x0108/0x01/8"
     o_bit c_bit        packets with the control (O) / critical (C) bit set
     outer              list of {src,dst,vni,packets,bytes,sports,dport}: the outer
                        UDP datagrams, grouped; bytes is the outer IP total length; sports
                        is the number of distinct outer source ports
     nested             packets with more than one GENEVE header (outer = the outermost)
  paths             number of distinct (VLAN stack, outer src, outer dst, VNI) this 5-tuple
                    was seen on
  tcp               null, or the TCP block below


PATHS
  Where one 5-tuple is seen on more than one path (a GWLB appliance sees each packet once
  from and once to the load balancer, with the outer addresses swapped; a mirror port may
  see a packet on two VLANs), a per-5-tuple TCP analysis would call every second copy a
  retransmission.  For such conversations the script cuts the capture into one file per
  path, lets tshark analyse each of them on its own, and ADDS UP the results in the
  5-tuple's record: packets, bytes, retransmissions, rtt samples and so on cover all copies,
  without phantom retransmissions.  "by_path" then has the TCP block of each path.
  A conversation whose directions use one path each (the usual overlay) is not cut.
  --no-split-paths gives tshark's plain verdict.


TCP BLOCK
  flags             union of the 12 flag bits, integer (FIN 1, SYN 2, RST 4, PSH 8, ACK 16,
                    URG 32, ECE 64, CWR 128, AE/NS 256, reserved above)
  flag_packets      packets by flag: {"fin","syn","rst","psh","ack","urg","ece","cwr","ae"};
                    "synack" has both SYN and ACK; "syn" counts these too
  payload_bytes     sum of tcp.len
  data_packets      packets with tcp.len > 0
  window_min window_max window_last window_first
                    tcp.window_size_value, raw (not scaled), over all packets, RST and SYN too
  window_min_norst  minimum over packets without RST; null if there is none
  wscale            window scale shift offered in this direction's last SYN, or null
  mss               MSS option in this direction's last SYN, or null
  streams           number of tcp.stream values
  handshake         null, or for the FIRST stream of the flow with a SYN and a matching SYN/ACK
                    {"role":"client"|"server", ...}, the same numbers in both directions:
                    the client is the sender of the SYN.
     initial_rtt_us     tcp.analysis.initial_rtt.  tshark: newest SYN so far -> first packet of the
                        stream, from either side, with ACK and without SYN (no look at the
                        numbers).  In a plain handshake that is syn_ack_us; not so when a SYN or
                        SYN/ACK is repeated or an old duplicate is around.  A time of 0 is taken
                        for unknown and the next packet used.  null if tshark gives none
     syn_synack_us      last SYN before the SYN/ACK -> first SYN/ACK with ack = SYN seq + 1
     first_syn_synack_us  the same from the first SYN (differs when the SYN was repeated)
     synack_ack_us      that SYN/ACK -> first client packet with ACK, without SYN and RST,
                        with ack = SYN/ACK seq + 1; null if there is none
     syn_ack_us         sum of the two: last SYN -> that ACK
     syns synacks       SYNs (without ACK) / SYN/ACKs in the stream
  handshakes        number of streams of this flow with such a handshake
  rtt               tcp.analysis.ack_rtt, ATTRIBUTED TO THE FLOW WHOSE SEGMENT WAS ACKED
                    (the reverse of the packet tshark prints it on).  At a capture point in
                    the path this is the delay between that point and the receiver of this
                    flow's data, and back.  {"min_us","avg_us","max_us","samples"}
                    samples of all kinds: SYN -> SYN/ACK (client flow), SYN/ACK -> ACK
                    (server flow), data -> ACK, FIN -> ACK.
  rtt_data          only samples whose acked segment is not a SYN
  rtt_karn          only samples whose acked segment is not a SYN and was not itself called a
                    retransmission (Karn)
                    tshark gives a sample when an ACK number is exactly the end of a segment
                    it has seen and not yet seen acked; a cumulative ACK gives one sample, for
                    the newest segment it covers.  Delayed ACKs are in, and so are segments
                    longer than the MTU (offload).
  retransmissions   packets of THIS flow with tcp.analysis.retransmission.  Contains the next
                    two, and retransmitted SYNs and FINs; excludes keep-alives, zero window
                    probes and out-of-order.
  fast_retransmissions     tcp.analysis.fast_retransmission: starts at the byte that at least
                    2 duplicate ACKs of the other side asked for, within 20 ms of the last
  spurious_retransmissions tcp.analysis.spurious_retransmission: all its bytes were already
                    acked
  rto_retransmissions      packets with tcp.analysis.rto: a plain retransmission for which
                    tshark still had the original and can say how long it waited.  The waits:
  rto_min_us rto_max_us    (null without one).  tshark does not test whether the wait is as
                    long as a retransmission timeout: these are "not fast, not spurious".
  other_retransmissions    retransmissions - fast - spurious (rto_retransmissions <= this)
  retransmissions_syn retransmissions_fin retransmissions_data
                    retransmissions with SYN set; with FIN set and no data; with tcp.len > 0
  out_of_order      tcp.analysis.out_of_order: below the highest sequence number seen, not
                    fast/spurious, and within the initial RTT (3 ms if unknown) of the packet
                    that had the highest sequence number
  duplicate_acks    tcp.analysis.duplicate_ack, ATTRIBUTED TO THE SENDER OF THE DUPLICATE ACK
                    (so it is about losses of the reverse flow)
  zero_windows      tcp.analysis.zero_window (window 0, without SYN, FIN, RST), on the flow of
                    the host that has no room
  zero_window_probes window_full window_updates keep_alives keep_alive_acks
  lost_segments     tcp.analysis.lost_segment: a hole before this packet
  ack_lost_segments tcp.analysis.ack_lost_segment: it acks data the capture does not hold
  reused_ports      SYNs that open a new stream on a known 5-tuple
  seq               not tshark's guess but exact accounting of sequence space per stream
                    (SYN and FIN count one each), on packets that occupy sequence space:
     segments           packets with data, SYN or FIN, without RST; the sum of the next five
     in_order           start at (or after, leaving a hole) the end of the highest segment seen
     seen_again         below it, and every byte was seen before: a retransmission (or a copy)
                        for certain.  A one-byte keep-alive counts here.
     hole_fill          below it, and no byte was seen before: late (reordered) or the
                        retransmission of something lost before the capture point
     partial            some bytes seen before, some not
     behind_empty       would be in_order, but an earlier packet without data (a pure ACK)
                        had a higher sequence number, so that ACK overtook this segment
     forward_holes      segments that start beyond the end of the highest segment seen
                    hence, but for the cases in the README: retransmissions + out_of_order +
                    keep_alives and zero_window_probes with a byte
                    = seen_again + hole_fill + partial + behind_empty
  Counts are totals of the flow over all its streams.
  by_stream         only when streams > 1 and paths is 1: list of {"stream", "packets", and the
                    TCP block}, beside "tcp" in the record; by_path (paths > 1) likewise
  The first fragment of a fragmented TCP segment has flags and window, but tshark gives no tcp.len
  and no verdict: it counts as without data and is not in seq.
  tcp.len, and so payload_bytes and seq, is bounded by the length of the frame on the wire, in
  the few captures where that is shorter than the IP header says.
"""

import argparse
import collections
import ipaddress
import json
import os
import struct
import subprocess
import sys
import tempfile

KEEP_PROTOCOLS = set("""
frame data pkt_comment eth eth_maybefcs ethertype vlan ieee8021ad ieee8021ah pbb mpls
pwethheuristic llc snap null loop raw ppp pppoe pppoes pppoed chdlc fr sll sll2 nflog
wlan radiotap prism ipoib infiniband arcnet fddi tr vntag cmd
ip ipv6 ipv6.hopopts ipv6.dstopts ipv6.routing ipv6.fraghdr
ipv6.routing.type.rt0 ipv6.routing.type.mipv6 ipv6.routing.type.srh
ipv6.routing.type.rpl ipv6.routing.type.crh
tcp udp udplite sctp geneve
""".split())

FIELDS = """
frame.number frame.time_epoch frame.len frame.cap_len frame.protocols
vlan.id ieee8021ad.id
ip.src ip.dst ip.len ip.id ip.proto ip.hdr_len ip.frag_offset ip.flags.mf ip.dsfield.ecn
ipv6.src ipv6.dst ipv6.plen ipv6.nxt ipv6.tclass.ecn ipv6.opt.jumbo
ipv6.hopopts.nxt ipv6.routing.nxt ipv6.dstopts.nxt
ipv6.fraghdr.nxt ipv6.fraghdr.offset ipv6.fraghdr.more ipv6.fraghdr.ident
udp.srcport udp.dstport
sctp.srcport sctp.dstport
geneve.version geneve.vni geneve.proto_type geneve.options geneve.flags.oam
geneve.flags.critical
tcp.srcport tcp.dstport tcp.flags tcp.seq_raw tcp.ack_raw tcp.len tcp.window_size_value
tcp.stream tcp.options.wscale.shift tcp.options.mss_val
tcp.analysis.initial_rtt tcp.analysis.ack_rtt tcp.analysis.acks_frame
tcp.analysis.retransmission tcp.analysis.fast_retransmission
tcp.analysis.spurious_retransmission tcp.analysis.rto
tcp.analysis.out_of_order tcp.analysis.duplicate_ack
tcp.analysis.zero_window tcp.analysis.zero_window_probe tcp.analysis.window_full
tcp.analysis.window_update tcp.analysis.keep_alive tcp.analysis.keep_alive_ack
tcp.analysis.lost_segment tcp.analysis.ack_lost_segment tcp.analysis.reused_ports
""".split()

# record name -> tshark flag field
FLAG_COUNTS = [
    ("retransmissions", "tcp.analysis.retransmission"),
    ("fast_retransmissions", "tcp.analysis.fast_retransmission"),
    ("spurious_retransmissions", "tcp.analysis.spurious_retransmission"),
    ("rto_retransmissions", "tcp.analysis.rto"),
    ("out_of_order", "tcp.analysis.out_of_order"),
    ("duplicate_acks", "tcp.analysis.duplicate_ack"),
    ("zero_windows", "tcp.analysis.zero_window"),
    ("zero_window_probes", "tcp.analysis.zero_window_probe"),
    ("window_full", "tcp.analysis.window_full"),
    ("window_updates", "tcp.analysis.window_update"),
    ("keep_alives", "tcp.analysis.keep_alive"),
    ("keep_alive_acks", "tcp.analysis.keep_alive_ack"),
    ("lost_segments", "tcp.analysis.lost_segment"),
    ("ack_lost_segments", "tcp.analysis.ack_lost_segment"),
    ("reused_ports", "tcp.analysis.reused_ports"),
]
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = 1, 2, 4, 8, 16, 32, 64, 128, 256
FLAG_NAMES = [("fin", FIN), ("syn", SYN), ("rst", RST), ("psh", PSH), ("ack", ACK),
              ("urg", URG), ("ece", ECE), ("cwr", CWR), ("ae", AE)]
EXT = {"ipv6.hopopts": "ipv6.hopopts.nxt", "ipv6.routing": "ipv6.routing.nxt",
       "ipv6.dstopts": "ipv6.dstopts.nxt", "ipv6.fraghdr": "ipv6.fraghdr.nxt"}
L4 = {"tcp": 6, "udp": 17, "sctp": 132, "udplite": 136}
SEP = "\x1f"          # between occurrences of a field


# ------------------------------------------------------------------ tshark

def make_config(folder):
    out = subprocess.run(["tshark", "-G", "protocols"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=True).stdout.decode()
    names = [l.split("\t")[2] for l in out.splitlines() if l.count("\t") >= 2]
    with open(os.path.join(folder, "disabled_protos"), "w") as f:
        for n in names:
            if n not in KEEP_PROTOCOLS and not n.startswith("_ws."):
                f.write(n + "\n")


def tshark(pcap, config):
    """yield one dict per frame"""
    cmd = ["tshark", "-n", "-r", pcap, "-T", "fields", "-E", "separator=/t",
           "-E", "occurrence=a", "-E", "aggregator=" + SEP, "-E", "quote=n"]
    for p in ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "ip.check_checksum:FALSE",
              "tcp.check_checksum:FALSE", "udp.check_checksum:FALSE",
              "ip.tso_support:TRUE", "ipv6.tso_support:TRUE",
              "ip.decode_tos_as_diffserv:TRUE",
              "tcp.analyze_sequence_numbers:TRUE", "tcp.relative_sequence_numbers:TRUE",
              "tcp.desegment_tcp_streams:FALSE"):
        cmd += ["-o", p]
    for f in FIELDS:
        cmd += ["-e", f]
    env = dict(os.environ, WIRESHARK_CONFIG_DIR=config, TZ="UTC", LC_ALL="C")
    err = tempfile.TemporaryFile()
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=err, env=env)
    n = len(FIELDS)
    for line in p.stdout:
        v = line.decode("utf-8", "replace").rstrip("\n").split("\t")
        if len(v) != n:
            sys.exit("oracle: unexpected tshark output line (%d columns)" % len(v))
        yield {k: x for k, x in zip(FIELDS, v) if x != ""}
    if p.wait() not in (0, 2):      # 2: the file ends in the middle of a packet
        err.seek(0)
        sys.exit("oracle: tshark failed: " + err.read().decode("utf-8", "replace")[-400:])


def occ(row, field, i=0):
    """i-th occurrence of a field, or None"""
    v = row.get(field)
    if v is None:
        return None
    v = v.split(SEP)
    return v[i] if i < len(v) else None


def num(x):
    if x is None:
        return None
    return int(x, 16) if x.startswith("0x") else int(x)


def truth(x):
    return x in ("1", "True", "true")


def to_ns(x):
    """decimal seconds -> integer nanoseconds"""
    neg = x.startswith("-")
    s, _, f = x.lstrip("-").partition(".")
    v = int(s) * 10**9 + int((f + "000000000")[:9])
    return -v if neg else v


def us(ns):
    return None if ns is None else round(ns / 1000.0, 3)


# ------------------------------------------------------------------ one frame

class Ip:
    __slots__ = ("v", "src", "dst", "len", "proto", "frag", "offset", "ident", "opts", "ecn")


class Pkt:
    __slots__ = ("n", "t", "row", "ip", "sport", "dport", "later", "orphan", "trunc", "l2",
                 "vlan", "outer", "gen", "ngen", "tcp", "path", "ana", "key", "rev")


def parse(row):
    """-> Pkt, or a string that says why the frame belongs to no flow"""
    prot = row.get("frame.protocols", "").split(":")
    n_ip = n_ip6 = n_udp = n_tcp = n_sctp = n_gen = 0
    n_ext = collections.Counter()
    i = 0
    k = Pkt()
    k.row, k.n, k.t = row, int(row["frame.number"]), to_ns(row.get("frame.time_epoch", "0"))
    k.outer = k.gen = None
    k.ngen = 0
    good = None                 # what to fall back to when an inner header is unusable
    while True:
        j = i
        while j < len(prot) and prot[j] not in ("ip", "ipv6"):
            if prot[j] in ("tcp", "udp", "sctp", "udplite"):
                j = len(prot)
                break
            j += 1
        if j >= len(prot):
            break
        if good is None:
            k.l2 = ":".join(x for x in prot[i:j] if x not in ("ethertype", "frame")) or "raw"
        ip = Ip()
        frag_more = False
        ip.frag, ip.offset, ip.ident, ip.opts = False, 0, None, False
        nextp = j + 1
        if prot[j] == "ip":
            ip.v = 4
            ip.src, ip.dst = occ(row, "ip.src", n_ip), occ(row, "ip.dst", n_ip)
            ip.len, ip.proto = num(occ(row, "ip.len", n_ip)), num(occ(row, "ip.proto", n_ip))
            off, ip.ident = num(occ(row, "ip.frag_offset", n_ip)), num(occ(row, "ip.id", n_ip))
            hl = num(occ(row, "ip.hdr_len", n_ip))
            ip.ecn = num(occ(row, "ip.dsfield.ecn", n_ip))
            frag_more = truth(occ(row, "ip.flags.mf", n_ip))
            ip.offset = off or 0
            n_ip += 1
            if None in (ip.src, ip.dst, ip.len, ip.proto, off, hl) or ip.len < hl:
                break
            ip.opts = hl > 20
            ip.frag = frag_more or ip.offset > 0
        else:
            ip.v = 6
            ip.src, ip.dst = occ(row, "ipv6.src", n_ip6), occ(row, "ipv6.dst", n_ip6)
            plen, ip.proto = num(occ(row, "ipv6.plen", n_ip6)), num(occ(row, "ipv6.nxt", n_ip6))
            ip.ecn = num(occ(row, "ipv6.tclass.ecn", n_ip6))
            n_ip6 += 1
            if None in (ip.src, ip.dst, plen, ip.proto):
                break
            ip.len = plen + 40
            while nextp < len(prot) and (prot[nextp] in EXT or prot[nextp].startswith("ipv6.")):
                e = prot[nextp]
                if e in EXT:
                    x = num(occ(row, EXT[e], n_ext[e]))
                    if e == "ipv6.fraghdr" and x is not None:
                        o = num(occ(row, "ipv6.fraghdr.offset", n_ext[e])) or 0
                        m = truth(occ(row, "ipv6.fraghdr.more", n_ext[e]))
                        if not ip.frag:
                            ip.offset, ip.frag = o, (m or o > 0)
                            ip.ident = num(occ(row, "ipv6.fraghdr.ident", n_ext[e]))
                    n_ext[e] += 1
                    if x is not None:
                        ip.proto = x
                nextp += 1
            if plen == 0:
                jumbo = num(occ(row, "ipv6.opt.jumbo"))
                if jumbo:
                    ip.len = jumbo + 40
                elif nextp < len(prot) and good is None and k.l2.startswith("eth"):
                    # TSO / BIG TCP: length 0 with a payload on the wire
                    tags = row.get("vlan.id", "").count(SEP) + 1 if "vlan.id" in row else 0
                    ip.len = int(row["frame.len"]) - 14 - 4 * tags
        # ---- layer 4 of this header
        k.ip, k.sport, k.dport, k.tcp = ip, 0, 0, False
        k.later = ip.offset > 0
        k.trunc = False
        k.orphan = False
        good = True
        nx = prot[nextp] if nextp < len(prot) else ""
        if k.later or ip.proto not in (6, 17, 132, 136) or L4.get(nx) != ip.proto:
            if not k.later and ip.proto in (6, 17, 132, 136):
                k.trunc = True
            break
        if nx in ("udp", "udplite"):
            a, b = num(occ(row, "udp.srcport", n_udp)), num(occ(row, "udp.dstport", n_udp))
            n_udp += 1
        elif nx == "sctp":
            a, b = num(occ(row, "sctp.srcport", n_sctp)), num(occ(row, "sctp.dstport", n_sctp))
            n_sctp += 1
        else:
            a, b = num(occ(row, "tcp.srcport", n_tcp)), num(occ(row, "tcp.dstport", n_tcp))
            k.tcp = None not in (occ(row, "tcp.flags", n_tcp), occ(row, "tcp.seq_raw", n_tcp),
                                 occ(row, "tcp.ack_raw", n_tcp),
                                 occ(row, "tcp.window_size_value", n_tcp),
                                 occ(row, "tcp.stream", n_tcp))
            k.trunc = not k.tcp
            n_tcp += 1
        if a is None or b is None:
            k.trunc = True
            k.tcp = False
            break
        k.sport, k.dport = a, b
        if nx == "udp" and b == 6081 and nextp + 1 < len(prot) and prot[nextp + 1] == "geneve":
            g = n_gen
            n_gen += 1
            vni = num(occ(row, "geneve.vni", g))
            if num(occ(row, "geneve.version", g)) != 0 or vni is None:
                break
            # is there an inner IP header that can be used?
            rest = prot[nextp + 2:]
            q = 0
            while q < len(rest) and rest[q] not in ("ip", "ipv6", "udp", "tcp", "geneve"):
                q += 1
            if q >= len(rest) or rest[q] not in ("ip", "ipv6"):
                break
            fam, idx = ("ip", n_ip) if rest[q] == "ip" else ("ipv6", n_ip6)
            if occ(row, fam + ".src", idx) is None or occ(row, fam + ".dst", idx) is None:
                break
            opts = occ(row, "geneve.options", g) or ""
            if k.outer is None:
                k.outer = (ip, a, b)
                k.gen = (vni, occ(row, "geneve.proto_type", g), opts,
                         truth(occ(row, "geneve.flags.oam", g)),
                         truth(occ(row, "geneve.flags.critical", g)))
            k.ngen += 1
            i = nextp + 2
            continue
        break
    if not good:
        if "ip" in prot or "ipv6" in prot:
            return "bad_ip"
        return "non_ip"
    tags = [x for f in ("ieee8021ad.id", "vlan.id") for x in row.get(f, "").split(SEP) if x]
    k.vlan = ",".join(str(num(x)) for x in tags)
    k.path = (k.vlan,) + ((k.outer[0].src, k.outer[0].dst, k.gen[0]) if k.outer else ())
    k.ana = row if k.tcp else None
    return k


# ------------------------------------------------------------------ cutting a capture

def split_capture(src, groups, folder):
    """groups: list of sets of frame numbers -> list of files with these frames.
    Understands pcap (both byte orders) and pcapng."""
    with open(src, "rb") as f:
        data = f.read()
    outs = [bytearray() for _ in groups]
    magic = data[:4]
    n = 0
    if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"):
        e = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        for o in outs:
            o += data[:24]
        p = 24
        while p + 16 <= len(data):
            end = p + 16 + struct.unpack_from(e + "I", data, p + 8)[0]
            if end > len(data):
                break
            n += 1
            for g, o in zip(groups, outs):
                if n in g:
                    o += data[p:end]
            p = end
    elif magic == b"\x0a\x0d\x0d\x0a":
        p, e = 0, "<"
        while p + 12 <= len(data):
            if data[p:p + 4] == b"\x0a\x0d\x0d\x0a":
                e = "<" if data[p + 8:p + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            kind, length = struct.unpack_from(e + "II", data, p)
            if length < 12 or p + length > len(data):
                break
            if kind in (2, 3, 6):
                n += 1
                for g, o in zip(groups, outs):
                    if n in g:
                        o += data[p:p + length]
            else:
                for o in outs:
                    o += data[p:p + length]
            p += length
    else:
        return None
    files = []
    for i, o in enumerate(outs):
        name = os.path.join(folder, "path%d.cap" % i)
        with open(name, "wb") as f:
            f.write(o)
        files.append(name)
    return files


def split_paths(pcap, pkts, config, folder):
    """separate TCP analysis for conversations whose 5-tuple was seen on several paths"""
    paths = collections.defaultdict(set)
    for k in pkts:
        if k.tcp:
            paths[k.key].add(k.path)
    mixed = set()
    for key, s in paths.items():
        if len(s) > 1:
            mixed.add(frozenset((key, (key[1], key[0], key[3], key[2], key[4]))))
    if not mixed:
        return 0
    groups = collections.defaultdict(list)
    for k in pkts:
        if k.tcp and frozenset((k.key, k.rev)) in mixed:
            groups[k.path].append(k)
    order = sorted(groups, key=str)
    files = split_capture(pcap, [set(k.n for k in groups[p]) for p in order], folder)
    if files is None:
        return 0
    for gi, (p, f) in enumerate(zip(order, files)):
        members = groups[p]
        rows = list(tshark(f, config))
        if len(rows) != len(members):
            sys.exit("oracle: path split lost frames")
        for k, r in zip(members, rows):
            r = dict(r)
            r["tcp.stream"] = "p%d.%s" % (gi, r.get("tcp.stream", ""))
            if "tcp.analysis.acks_frame" in r:
                a = int(r["tcp.analysis.acks_frame"].split(SEP)[0])
                r["tcp.analysis.acks_frame"] = str(members[a - 1].n)
            k.ana = r
    return len(mixed)


# ------------------------------------------------------------------ TCP

class Ranges:
    """sequence space of one direction of one stream: the ranges seen, unwrapped"""
    def __init__(self):
        self.r = []                 # sorted disjoint [a, b)
        self.base = None
        self.top = None             # highest sequence number on any packet, for unwrapping
        self.nxt = None             # end of the highest segment
        self.empty = None           # highest sequence number on a packet without data

    def pos(self, seq, length):
        if self.base is None:
            self.base, a = seq, 1 << 40
            self.top = a + length
            return a
        d = (seq - self.base - (self.top - (1 << 40))) & 0xffffffff
        if d >= 1 << 31:
            d -= 1 << 32
        a = self.top + d
        self.top = max(self.top, a + length)
        return a

    def add_empty(self, seq):
        a = self.pos(seq, 0)
        self.empty = a if self.empty is None else max(self.empty, a)

    def add(self, seq, length):
        """-> (class, leaves_hole)"""
        a = self.pos(seq, length)
        b = a + length
        old = 0
        for x, y in self.r:
            lo, hi = max(a, x), min(b, y)
            if lo < hi:
                old += hi - lo
        hole = self.nxt is not None and a > self.nxt
        if self.nxt is None or a >= self.nxt:
            c = "in_order"
            if self.empty is not None and a < self.empty:
                c = "behind_empty"
        elif old == length:
            c = "seen_again"
        elif old == 0:
            c = "hole_fill"
        else:
            c = "partial"
        new, ins = [], False
        lo, hi = a, b
        for x, y in self.r:
            if y < lo:
                new.append((x, y))
            elif x > hi:
                if not ins:
                    new.append((lo, hi))
                    ins = True
                new.append((x, y))
            else:
                lo, hi = min(lo, x), max(hi, y)
        if not ins:
            new.append((lo, hi))
        self.r = new[-4096:]
        self.nxt = b if self.nxt is None else max(self.nxt, b)
        return c, hole


class Tcp:
    """totals of one (flow) or one (flow, stream)"""
    def __init__(self):
        self.c = collections.Counter()
        self.flags = 0
        self.fl = collections.Counter()
        self.seq = collections.Counter()
        self.rtt = []
        self.rtt_data = []
        self.rtt_karn = []
        self.rto = []
        self.win = []               # first, last, min, max
        self.win_norst = None
        self.wscale = self.mss = None
        self.streams = []
        self.packets = 0

    def packet(self, k, cls):
        r = k.ana
        fl = num(occ(r, "tcp.flags"))
        ln = num(occ(r, "tcp.len")) or 0
        w = num(occ(r, "tcp.window_size_value"))
        s = r["tcp.stream"].split(SEP)[0]
        self.packets += 1
        if s not in self.streams:
            self.streams.append(s)
        self.flags |= fl
        for n, b in FLAG_NAMES:
            if fl & b:
                self.fl[n] += 1
        if fl & SYN and fl & ACK:
            self.fl["synack"] += 1
        self.c["payload_bytes"] += ln
        if ln:
            self.c["data_packets"] += 1
        if not self.win:
            self.win = [w, w, w, w]
        self.win[1] = w
        self.win[2] = min(self.win[2], w)
        self.win[3] = max(self.win[3], w)
        if not fl & RST:
            self.win_norst = w if self.win_norst is None else min(self.win_norst, w)
        if fl & SYN:
            self.wscale = num(occ(r, "tcp.options.wscale.shift"))
            self.mss = num(occ(r, "tcp.options.mss_val"))
        for name, field in FLAG_COUNTS:
            if field in r:
                self.c[name] += 1
        if "tcp.analysis.rto" in r:
            self.rto.append(to_ns(occ(r, "tcp.analysis.rto")))
        if "tcp.analysis.retransmission" in r:
            if ln:
                self.c["retransmissions_data"] += 1
            if fl & SYN:
                self.c["retransmissions_syn"] += 1
            elif fl & FIN and not ln:
                self.c["retransmissions_fin"] += 1
        if cls:
            self.seq["segments"] += 1
            self.seq[cls[0]] += 1
            if cls[1]:
                self.seq["forward_holes"] += 1

    def dump(self, hs):
        def stat(v):
            if not v:
                return {"min_us": None, "avg_us": None, "max_us": None, "samples": 0}
            return {"min_us": us(min(v)), "avg_us": us(sum(v) / len(v)), "max_us": us(max(v)),
                    "samples": len(v)}
        c = self.c
        d = {"flags": self.flags,
             "flag_packets": {n: self.fl[n] for n in
                              [x for x, _ in FLAG_NAMES] + ["synack"]},
             "payload_bytes": c["payload_bytes"], "data_packets": c["data_packets"],
             "window_min": self.win[2], "window_max": self.win[3],
             "window_first": self.win[0], "window_last": self.win[1],
             "window_min_norst": self.win_norst, "wscale": self.wscale, "mss": self.mss,
             "streams": len(self.streams)}
        d["handshake"] = hs[0] if hs else None
        d["handshakes"] = len(hs)
        d["rtt"], d["rtt_data"], d["rtt_karn"] = (stat(self.rtt), stat(self.rtt_data),
                                                  stat(self.rtt_karn))
        for name, _ in FLAG_COUNTS[:4]:
            d[name] = c[name]
        d["rto_min_us"] = us(min(self.rto)) if self.rto else None
        d["rto_max_us"] = us(max(self.rto)) if self.rto else None
        d["other_retransmissions"] = (c["retransmissions"] - c["fast_retransmissions"]
                                      - c["spurious_retransmissions"])
        for name in ("retransmissions_syn", "retransmissions_fin", "retransmissions_data"):
            d[name] = c[name]
        for name, _ in FLAG_COUNTS[4:]:
            d[name] = c[name]
        d["seq"] = {n: self.seq[n] for n in ("segments", "in_order", "seen_again", "hole_fill",
                                             "partial", "behind_empty", "forward_holes")}
        return d


def handshakes(pkts):
    """-> {stream: (client key, record without role)}"""
    by = collections.defaultdict(list)
    for k in pkts:
        if k.tcp:
            by[k.ana["tcp.stream"].split(SEP)[0]].append(k)
    out = {}
    for s, ks in by.items():
        syn1 = syn = sa = ack = client = None
        nsyn = nsa = 0
        irtt = None
        for k in ks:
            r = k.ana
            fl = num(occ(r, "tcp.flags"))
            seq, ak = num(occ(r, "tcp.seq_raw")), num(occ(r, "tcp.ack_raw"))
            if irtt is None and "tcp.analysis.initial_rtt" in r:
                irtt = to_ns(occ(r, "tcp.analysis.initial_rtt"))
            if fl & SYN and not fl & ACK:
                if client is None:
                    client = k.key
                if k.key == client:
                    nsyn += 1
                    if sa is None:
                        syn1 = syn1 or k
                        syn = k
                        synseq = seq
            elif fl & SYN and fl & ACK:
                nsa += 1
                if sa is None and syn is not None and k.key == syn.rev and \
                        ak == (synseq + 1) & 0xffffffff:
                    sa, saseq = k, seq
            elif sa is not None and ack is None and k.key == client and fl & ACK \
                    and not fl & RST and ak == (saseq + 1) & 0xffffffff:
                ack = k
        if sa is None:
            continue
        rec = {"initial_rtt_us": us(irtt), "syn_synack_us": us(sa.t - syn.t),
               "first_syn_synack_us": us(sa.t - syn1.t),
               "synack_ack_us": us(ack.t - sa.t) if ack else None,
               "syn_ack_us": us(ack.t - syn.t) if ack else None,
               "syns": nsyn, "synacks": nsa}
        out[s] = (client, rec)
    return out


# ------------------------------------------------------------------ flows

def canon(a):
    return str(ipaddress.ip_address(a))


def options(hexopts):
    """'class/type/len' of each TLV"""
    try:
        b = bytes.fromhex(hexopts.replace(":", ""))
    except ValueError:
        return [], 0
    out, p = [], 0
    while p + 4 <= len(b):
        cls, typ, ln = (b[p] << 8) | b[p + 1], b[p + 2], (b[p + 3] & 0x1f) * 4
        out.append("0x%04x/0x%02x/%d" % (cls, typ, ln))
        p += 4 + ln
    return out, len(b)


def assign_fragments(pkts, mode):
    if mode == "track":
        first = collections.defaultdict(list)
        for k in pkts:
            if k.ip.frag and not k.later and not (k.trunc and k.sport == 0 and k.dport == 0):
                first[(k.ip.src, k.ip.dst, k.ip.proto, k.ip.ident)].append(k)
        for k in pkts:
            if k.later and k.ip.proto in (6, 17, 132, 136):
                c = first.get((k.ip.src, k.ip.dst, k.ip.proto, k.ip.ident))
                if c:
                    best = min(c, key=lambda f: abs(f.t - k.t))
                    if abs(best.t - k.t) <= 60 * 10**9:
                        k.sport, k.dport = best.sport, best.dport
                        continue
                k.orphan = True
    for k in pkts:
        i = k.ip
        s, d = canon(i.src), canon(i.dst)
        k.key = (s, d, k.sport, k.dport, i.proto)
        k.rev = (d, s, k.dport, k.sport, i.proto)


def build(pcap, args):
    stat = collections.Counter()
    with tempfile.TemporaryDirectory() as tmp:
        config = os.path.join(tmp, "config")
        os.mkdir(config)
        make_config(config)
        pkts = []
        for row in tshark(pcap, config):
            stat["frames"] += 1
            k = parse(row)
            if isinstance(k, str):
                stat[k] += 1
            else:
                pkts.append(k)
        assign_fragments(pkts, args.frag)
        if not args.no_split_paths:
            stat["split_conversations"] = split_paths(pcap, pkts, config, tmp)
    stat["ip_packets"] = len(pkts)

    hs = handshakes(pkts)
    byframe = {k.n: k for k in pkts}
    space = {}
    flows = collections.OrderedDict()
    tcp_all, tcp_stream, tcp_path = {}, {}, {}
    spath = {}
    for k in pkts:
        f = flows.setdefault(k.key, [])
        f.append(k)
        if not k.tcp:
            continue
        r = k.ana
        s = r["tcp.stream"].split(SEP)[0]
        fl, ln = num(occ(r, "tcp.flags")), num(occ(r, "tcp.len"))
        cls = None
        slen = 0 if ln is None else ln + bool(fl & SYN) + bool(fl & FIN)
        if slen and not fl & RST:
            cls = space.setdefault((k.key, s), Ranges()).add(num(occ(r, "tcp.seq_raw")), slen)
        elif ln is not None and not fl & RST:
            space.setdefault((k.key, s), Ranges()).add_empty(num(occ(r, "tcp.seq_raw")))
        spath[(k.key, s)] = k.path
        for d, key in ((tcp_all, k.key), (tcp_stream, (k.key, s)),
                       (tcp_path, (k.key, k.path))):
            if key not in d:
                d[key] = Tcp()
            d[key].packet(k, cls)
    for k in pkts:                      # rtt samples belong to the acked flow
        if not k.tcp or "tcp.analysis.ack_rtt" not in k.ana:
            continue
        r = k.ana
        v = to_ns(occ(r, "tcp.analysis.ack_rtt"))
        s = r["tcp.stream"].split(SEP)[0]
        a = byframe.get(num(occ(r, "tcp.analysis.acks_frame")))
        issyn = bool(a is not None and num(occ(a.ana, "tcp.flags")) & SYN)
        isret = bool(a is not None and "tcp.analysis.retransmission" in a.ana)
        for d, key in ((tcp_all, k.rev), (tcp_stream, (k.rev, s)),
                       (tcp_path, (k.rev, a.path if a is not None else None))):
            t = d.get(key)
            if t is None:
                continue
            t.rtt.append(v)
            if not issyn:
                t.rtt_data.append(v)
                if not isret:
                    t.rtt_karn.append(v)

    def hs_of(key, streams):
        out = []
        for s in streams:
            if s in hs:
                client, rec = hs[s]
                if key == client:
                    out.append(dict({"role": "client"}, **rec))
                elif key == (client[1], client[0], client[3], client[2], client[4]):
                    out.append(dict({"role": "server"}, **rec))
        return out

    records = []
    for key, ks in flows.items():
        if args.by_stream and key in tcp_all:
            parts = collections.OrderedDict()
            for k in ks:
                parts.setdefault(k.ana["tcp.stream"].split(SEP)[0] if k.tcp else None, []).append(k)
            for s, sub in parts.items():
                rec = record(key, sub)
                if s is not None:
                    rec["stream"] = s
                    rec["tcp"] = tcp_stream[(key, s)].dump(hs_of(key, [s]))
                records.append(rec)
            continue
        rec = record(key, ks)
        if key in tcp_all:
            t = tcp_all[key]
            rec["tcp"] = t.dump(hs_of(key, t.streams))
            if rec["paths"] > 1:
                plist = [p for (kk, p) in tcp_path if kk == key]
                rec["by_path"] = []
                for p in plist:
                    tp = tcp_path[(key, p)]
                    e = {"vlan": p[0]}
                    if len(p) > 1:
                        e.update({"outer_src": canon(p[1]), "outer_dst": canon(p[2]), "vni": p[3]})
                    e["packets"] = tp.packets
                    e["bytes"] = sum(k.ip.len for k in ks if k.path == p)
                    e["tcp"] = tp.dump(hs_of(key, tp.streams))
                    rec["by_path"].append(e)
            if len(t.streams) > 1 and rec["paths"] == 1:
                rec["by_stream"] = []
                for s in t.streams:
                    ts = tcp_stream[(key, s)]
                    rec["by_stream"].append(dict({"stream": s, "packets": ts.packets},
                                                 **ts.dump(hs_of(key, [s]))))
        records.append(rec)

    def order(rec):
        return (rec["ip_version"], ipaddress.ip_address(rec["src"]).packed,
                ipaddress.ip_address(rec["dst"]).packed, rec["proto"], rec["sport"],
                rec["dport"], str(rec.get("stream", "")))
    records.sort(key=order)
    stat["flows"] = len(records)
    stat["tcp_flows"] = sum(1 for r in records if r["tcp"])
    stat["geneve_flows"] = sum(1 for r in records if r["geneve"])
    return records, stat


def record(key, ks):
    rec = {"src": key[0], "dst": key[1], "sport": key[2], "dport": key[3], "proto": key[4],
           "ip_version": ks[0].ip.v,
           "l2": sorted(set(k.l2 for k in ks)), "vlans": sorted(set(k.vlan for k in ks)),
           "packets": len(ks), "bytes": sum(k.ip.len for k in ks),
           "first_us": min(k.t for k in ks) // 1000, "last_us": max(k.t for k in ks) // 1000,
           "frag_packets": sum(k.ip.frag for k in ks),
           "frag_later_packets": sum(k.later for k in ks),
           "frag_later_bytes": sum(k.ip.len for k in ks if k.later),
           "frag_orphans": sum(k.orphan for k in ks),
           "l4_truncated": sum(k.trunc for k in ks),
           "ip_options": sum(k.ip.opts for k in ks)}
    e = collections.Counter(k.ip.ecn for k in ks)
    rec["ecn"] = {"not_ect": e[0] + e[None], "ect0": e[2], "ect1": e[1], "ce": e[3]}
    g = [k for k in ks if k.outer]
    rec["geneve"] = None
    if g:
        o = collections.OrderedDict()
        opts, lens = set(), []
        for k in g:
            lst, n = options(k.gen[2])
            opts.update(lst)
            lens.append(n)
            x = o.setdefault((canon(k.outer[0].src), canon(k.outer[0].dst), k.gen[0], k.outer[2]),
                             [0, 0, set()])
            x[0] += 1
            x[1] += k.outer[0].len
            x[2].add(k.outer[1])
        rec["geneve"] = {
            "packets": len(g), "vnis": sorted(set(k.gen[0] for k in g)),
            "proto_types": sorted(set(k.gen[1] for k in g)),
            "opt_bytes_min": min(lens), "opt_bytes_max": max(lens), "options": sorted(opts),
            "o_bit": sum(k.gen[3] for k in g), "c_bit": sum(k.gen[4] for k in g),
            "outer": [{"src": a, "dst": b, "vni": v, "packets": x[0], "bytes": x[1],
                       "sports": len(x[2]), "dport": p} for (a, b, v, p), x in sorted(o.items())],
            "nested": sum(k.ngen > 1 for k in g)}
    rec["paths"] = len(set(k.path for k in ks))
    rec["tcp"] = None
    return rec


def main():
    ap = argparse.ArgumentParser(usage="oracle.py [options] PCAP",
                                 description="reference flow records from tshark; see the top of "
                                             "this file for the definition of every field")
    ap.add_argument("pcap")
    ap.add_argument("--frag", choices=("track", "zero"), default="track")
    ap.add_argument("--by-stream", action="store_true")
    ap.add_argument("--no-split-paths", action="store_true")
    ap.add_argument("--summary", action="store_true")
    args = ap.parse_args()
    records, stat = build(args.pcap, args)
    for r in records:
        sys.stdout.write(json.dumps(r, separators=(",", ":")) + "\n")
    if args.summary:
        sys.stderr.write(json.dumps(stat) + "\n")


if __name__ == "__main__":
    main()
