#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
derive.py - make the "derived" captures of this corpus out of real ones.

  derive.py gwlb IN OUT [--hairpin US]   wrap every IPv4/IPv6 packet as an AWS Gateway Load
        Balancer does: outer IPv4/UDP 6081, GENEVE, VNI 0, protocol type 0x0800 / 0x86dd (no
        inner Ethernet), options 0x0108/1 (8 bytes), 0x0108/2 (8), 0x0108/3 (4, flow cookie).
        Both inner directions go from the load balancer to the appliance.  --hairpin adds what
        the appliance sends back: each packet again US microseconds later, outer addresses
        swapped, UDP ports kept.
  derive.py geneve6 IN OUT   wrap every frame (inner Ethernet, type 0x6558) in IPv6/UDP/GENEVE;
        the two directions of a conversation use swapped outer addresses, VNI 4660 and one
        4-byte option 0x0102/0x80 (critical bit set in option and header).
  derive.py ce IN OUT N      set CE on every N-th ECT(0)/ECT(1) IPv4 or IPv6 packet, and mend the
        IPv4 header checksum.

IN is a classic little- or big-endian pcap with Ethernet frames, whole or snapped; OUT is a
little-endian classic pcap (nanosecond magic kept).  Frames that are not IPv4/IPv6 (after VLAN
tags, which are dropped by gwlb) are left out by gwlb and kept by ce and geneve6.
Packet payloads and inner headers are never changed (but for the ECN bits by ce).
"""
import argparse
import struct
import zlib


def read(path):
    d = open(path, "rb").read()
    m = d[:4]
    e = "<" if m in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    nano = m in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
    assert m in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
    assert struct.unpack_from(e + "I", d, 20)[0] & 0xffff == 1, "not Ethernet"
    p, out = 24, []
    while p + 16 <= len(d):
        s, f, c, l = struct.unpack_from(e + "IIII", d, p)
        if p + 16 + c > len(d):
            break
        out.append([s * 10**9 + f * (1 if nano else 1000), d[p + 16:p + 16 + c], l])
        p += 16 + c
    return out, nano


def write(path, pkts, nano):
    with open(path, "wb") as o:
        o.write(struct.pack("<IHHiIII", 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for t, b, l in pkts:
            o.write(struct.pack("<IIII", t // 10**9, t % 10**9 // (1 if nano else 1000), len(b), l))
            o.write(b)


def l3(b):
    """-> offset of the IP header and its EtherType, or None"""
    p, t = 14, struct.unpack_from(">H", b, 12)[0] if len(b) >= 14 else 0
    while t in (0x8100, 0x88a8, 0x9100) and len(b) >= p + 4:
        t = struct.unpack_from(">H", b, p + 2)[0]
        p += 4
    return (p, t) if t in (0x0800, 0x86dd) and len(b) > p + 20 else None


def csum(h):
    s = sum(struct.unpack(">%dH" % (len(h) // 2), h))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def flowhash(b, p, t):
    """the same for both directions"""
    if t == 0x0800:
        pr, a, c, q = b[p + 9], b[p + 12:p + 16], b[p + 16:p + 20], p + (b[p] & 15) * 4
        if struct.unpack_from(">H", b, p + 6)[0] & 0x3fff:
            q = len(b)
    else:
        pr, a, c, q = b[p + 6], b[p + 8:p + 24], b[p + 24:p + 40], p + 40
    if pr in (6, 17) and len(b) >= q + 4:
        a, c = a + b[q:q + 2], c + b[q + 2:q + 4]
    return zlib.crc32(b"".join(sorted((a, c))) + bytes((pr,)))


def ip4(src, dst, ident, ttl, payload, wire):
    h = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + wire, ident, 0x4000, ttl, 17, 0, src, dst)
    return h[:10] + struct.pack(">H", csum(h)) + h[12:] + payload


def gwlb(pkts, hairpin):
    lb, ap = bytes((10, 20, 1, 10)), bytes((10, 20, 1, 77))
    m1, m2 = bytes.fromhex("0a58a9fe0101"), bytes.fromhex("0a58a9fe0102")
    out, n = [], 0
    for t, b, wire in pkts:
        x = l3(b)
        if not x:
            continue
        p, et = x
        n += 1
        h = flowhash(b, p, et)
        opt = (bytes.fromhex("01080102") + bytes.fromhex("1f2e3d4c5b6a7988")
               + bytes.fromhex("01080202") + bytes(8)
               + bytes.fromhex("01080301") + struct.pack(">I", h))
        g = struct.pack(">BBHI", len(opt) // 4, 0, et, 0) + opt
        # Ethernet padding must not become inner payload
        n_ip = struct.unpack_from(">H", b, p + 2)[0] if et == 0x0800 else \
            struct.unpack_from(">H", b, p + 4)[0] + 40
        inner, w = b[p:], wire - p
        if 20 < n_ip < w:
            inner, w = inner[:n_ip], n_ip
        udp = 8 + len(g) + w
        if udp > 65515:
            continue
        u = struct.pack(">HHHH", 49152 + h % 16384, 6081, udp, 0) + g + inner
        out.append([t, m1 + m2 + b"\x08\x00" + ip4(lb, ap, n & 0xffff, 255, u, udp), 34 + udp])
        if hairpin is not None:
            out.append([t + hairpin * 1000, m2 + m1 + b"\x08\x00"
                        + ip4(ap, lb, (n * 7) & 0xffff, 64, u, udp), 34 + udp])
    out.sort(key=lambda x: x[0]) if hairpin is not None else None
    return out


def geneve6(pkts):
    a, c = bytes.fromhex("fd00000000000000000000000000000a"), bytes.fromhex("fd00000000000000000000000000000b")
    m1, m2 = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
    out = []
    for t, b, wire in pkts:
        x = l3(b)
        h, fwd = 1, b[6:12] < b[:6]
        if x:
            h = flowhash(b, *x)
            o, n = (x[0] + 12, 4) if x[1] == 0x0800 else (x[0] + 8, 16)
            fwd = b[o:o + n] < b[o + n:o + 2 * n]
        opt = bytes.fromhex("01028001") + bytes.fromhex("0badcafe")
        g = struct.pack(">BBHI", len(opt) // 4, 0x40, 0x6558, 4660 << 8) + opt
        udp = 8 + len(g) + wire
        if udp > 65535:
            continue
        u = struct.pack(">HHHH", 32768 + h % 28232, 6081, udp, 0) + g + b
        s, d, e = (a, c, m2 + m1) if fwd else (c, a, m1 + m2)
        out.append([t, e + b"\x86\xdd" + struct.pack(">IHBB", 0x60000000 | (h & 0xfffff), udp, 17, 64)
                    + s + d + u, 54 + udp])
    return out


def ce(pkts, every):
    out, n = [], 0
    for t, b, wire in pkts:
        x = l3(b)
        if x:
            p, et = x
            b = bytearray(b)
            bits = b[p + 1] & 3 if et == 0x0800 else b[p + 1] >> 4 & 3
            if bits in (1, 2):
                n += 1
                if n % every == 0:
                    b[p + 1] |= 3 if et == 0x0800 else 0x30
                    if et == 0x0800:
                        q = p + (b[p] & 15) * 4
                        b[p + 10:p + 12] = b"\0\0"
                        b[p + 10:p + 12] = struct.pack(">H", csum(bytes(b[p:q])))
            b = bytes(b)
        out.append([t, b, wire])
    return out


ap = argparse.ArgumentParser(usage=__doc__)
ap.add_argument("what", choices=("gwlb", "geneve6", "ce"))
ap.add_argument("src")
ap.add_argument("dst")
ap.add_argument("n", type=int, nargs="?", default=7)
ap.add_argument("--hairpin", type=int)
a = ap.parse_args()
pk, ns = read(a.src)
write(a.dst, gwlb(pk, a.hairpin) if a.what == "gwlb" else geneve6(pk) if a.what == "geneve6"
      else ce(pk, a.n), ns)
