#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""silence_test.py FFFA PLUGINS: a capture with pauses, through flow_cache into flow logs: a NODATA line for every interval in which an
interface was watched and silent, and for no other."""
import gzip
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

FFFA, PLUGINS = sys.argv[1:]
START = 1767225600  # 2026-01-01 00:00:00
MINUTE = 60


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def capture(packets):
    """pcapng with one UDP packet for each (seconds after START, interface), interfaces numbered as they come."""
    names = list(dict.fromkeys(name for _, name in packets))
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    for name in names:
        text = name.encode()
        out += block(1, struct.pack("<HHI", 101, 0, 0) + struct.pack("<HH", 2, len(text)) + text + bytes(-len(text) % 4))  # 101: raw IP
    packet = struct.pack(">BBHHHBBH4s4sHHHH", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 4000, 53, 8, 0)
    for seconds, name in packets:
        time = round((START + seconds) * 1e6)
        out += block(6, struct.pack("<IIIII", names.index(name), time >> 32, time & 0xFFFFFFFF, len(packet), len(packet)) + packet)
    return out


class Silence(unittest.TestCase):
    def lines(self, packets, interval=MINUTE):
        """(interface, interval) of the NODATA lines, and of the others; intervals counted from START."""
        with tempfile.TemporaryDirectory(prefix="fffa-silence-") as name:
            folder = pathlib.Path(name)
            (folder / "in.pcapng").write_bytes(capture(packets))
            (folder / "pipeline.yaml").write_text(f"""
sources: {{in: {{type: pcap, path: {folder}/in.pcapng}}}}
aggregators: {{flows: {{type: flow_cache, inputs: [in], interval: {interval}s}}}}
sinks: {{logs: {{type: vpc_flow_log, inputs: [flows], directory: {folder}/logs}}}}
metrics: {{listen: ""}}
""")
            (folder / "logs").mkdir()
            run = subprocess.run([FFFA, "run", folder / "pipeline.yaml", "--plugin-path", PLUGINS], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 0, run.stderr)
            silent, others = [], []
            for path in folder.rglob("*.log.gz"):
                for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]:
                    fields = line.split()
                    where = (fields[2], (int(fields[10]) - START) // interval)
                    if fields[13] == "NODATA":
                        self.assertEqual([int(f) - START for f in fields[10:12]], [where[1] * interval, (where[1] + 1) * interval - 1])
                    (silent if fields[13] == "NODATA" else others).append(where)
            return sorted(silent), sorted(others)

    def expect(self, packets, silent, interval=MINUTE):
        found, others = self.lines(packets, interval)
        self.assertEqual(found, sorted(silent))
        self.assertEqual(others, sorted({(name, int(seconds // interval)) for seconds, name in packets}))

    def test_a_pause(self):
        self.expect([(2 * MINUTE + s, "eth0") for s in range(60)] + [(9 * MINUTE + s, "eth0") for s in range(60)],
                    [("eth0", minute) for minute in range(3, 9)])

    def test_single_packets(self):
        self.expect([(2 * MINUTE + 31, "eth0"), (9 * MINUTE + 2, "eth0")], [("eth0", minute) for minute in range(3, 9)])

    def test_long_intervals(self):
        self.expect([(9 * MINUTE, "eth0"), (25 * MINUTE, "eth0")], [("eth0", 1)], interval=600)

    def test_several_interfaces(self):
        """An interface is watched from its first packet on, until the capture ends."""
        self.expect([(10, "eth0"), (70, "eth1"), (4 * MINUTE + 5, "eth0"), (6 * MINUTE + 5, "eth1")],
                    [("eth0", n) for n in (1, 2, 3, 5, 6)] + [("eth1", n) for n in (2, 3, 4, 5)])

    def test_packets_at_the_edges(self):
        """The first and the last interval have traffic however little of them the capture has."""
        self.expect([(2 * MINUTE - 0.000001, "eth0"), (4 * MINUTE, "eth0")], [("eth0", 2), ("eth0", 3)])
        self.expect([(2 * MINUTE, "eth0"), (5 * MINUTE - 0.000001, "eth0")], [("eth0", 3)])

    def test_a_pause_of_more_than_ten_minutes_was_not_watched(self):
        self.expect([(10, "eth0"), (70, "eth0"), (20 * MINUTE, "eth0"), (22 * MINUTE, "eth0")], [("eth0", 21)])


unittest.main(argv=sys.argv[:1])
