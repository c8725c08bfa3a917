#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`fffa run ... >/dev/full`, stopped: at the shutdown timeout the source is in the midst of a read-out. Every packet that it has read is in the account."""
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

PACKETS = 40000
SOURCE = """
sources:
  capture: {{type: pcap, path: capture.pcap, drain_interval: {interval}}}
metrics: {{listen: ""}}
shutdown_timeout: 200ms
"""
RAW = "sinks: {out: {type: stdout, inputs: [capture], queue: 2048}}"
FLOWS = """
aggregators:
  flows: {type: flow_cache, inputs: [capture], interval: 1s, queue: 2048}
sinks:
  out: {type: stdout, inputs: [flows], queue: 2048}
"""


def write_capture(path):
    """Each packet is a flow of its own; 2000 a second."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i in range(PACKETS):
            address = struct.pack(">I", 0x0A000000 + i)
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 50, 0, 0, 64, 17, 0) + address + b"\x0b\0\0\1"
            packet = bytes(12) + b"\x08\0" + ip + struct.pack(">HHHH", 1000, 2000, 30, 0) + bytes(22)
            file.write(struct.pack("<IIII", 1700000000 + i // 2000, i % 2000 * 500, len(packet), len(packet)) + packet)


def account(log, sink):
    """Packets, bytes and records of each part."""
    line = re.search(rf"{sink}: (seen .*)", log)
    if not line or "unaccounted" in line[1]:
        sys.exit(f"no account of {sink}, or a wrong one")
    parts = re.findall(r"(\w+) (\d+) packets (\d+) bytes (\d+) records", line[1])
    amounts = {name: tuple(map(int, numbers)) for name, *numbers in parts}
    seen = amounts.pop("seen")
    if seen != tuple(map(sum, zip(*amounts.values()))):
        sys.exit(f"the parts do not make up what was seen: {line[1]}")
    return seen, amounts


def check(fffa, plugins, folder, pipeline):
    (folder / "pipeline.yaml").write_text(pipeline, encoding="utf-8")
    with open("/dev/full", "wb") as full:
        result = subprocess.run([fffa, "run", "--plugin-path", plugins, "--duration", "1s", "pipeline.yaml"],
                                cwd=folder, stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
    log = result.stderr.decode()
    print(log)
    if result.returncode != 4 or "the shutdown timeout is over" not in log:
        sys.exit(f"exit code {result.returncode}")
    read = int(re.search(r"(\d+) packets read", log)[1])
    seen, amounts = account(log, "out")
    if seen[:2] != (read, read * 50):
        sys.exit(f"{read} packets were read, and {seen} seen")
    return amounts


def main():
    fffa, plugins = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_capture(folder / "capture.pcap")
        chosen = folder / "plugins"
        chosen.mkdir()
        for plugin in ("pcap.so", "flow_cache.so", "stdout.so"):  # these and no others
            (chosen / plugin).symlink_to(pathlib.Path(plugins).resolve() / plugin)
        for interval in ("1s", "1h"):  # what was read goes beyond that read-out; it is the only one
            amounts = check(fffa, chosen, folder, SOURCE.format(interval=interval) + RAW)
            if amounts["lost"][0] == 0 or amounts["held"][0] == 0:
                sys.exit("it was not in the midst of a read-out: this tests nothing")
        check(fffa, chosen, folder, SOURCE.format(interval="1s") + FLOWS)  # where it was is a matter of chance


if __name__ == "__main__":
    main()
