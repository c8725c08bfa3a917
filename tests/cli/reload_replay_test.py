#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Source pcap in a run that is told to reload, or to stop before anything came: every packet counts once, and nothing
of standard input is lost."""
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

PIPELINE = """
sources:
  replay: {type: pcap, path: "%s", drain_interval: 1s, pace: %s}
sinks:
  out: {type: stdout, inputs: [replay]}
metrics: {listen: ""}
"""
HEADER = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101)
UDP = bytes.fromhex("4500001c000040001100000" "00a0000010a000002" "1234003500080000").ljust(28, b"\0")


def packets(count, pause=0.0):
    """`count` packets of raw IP, `pause` seconds apart."""
    out = b""
    for i in range(count):
        time_us = 1_000_000_000 + round(i * pause * 1e6)
        out += struct.pack("<IIII", time_us // 1_000_000, time_us % 1_000_000, len(UDP), len(UDP)) + UDP
    return out


class Run:
    def __init__(self, command, folder):
        self.command, self.folder = command, folder
        self.yaml = folder / "pipeline.yaml"

    def write(self, path, pace="fast"):
        self.yaml.write_text(PIPELINE % (path, pace), encoding="utf-8")

    def start(self, *more, stdin=subprocess.DEVNULL):
        self.log = open(self.folder / "log", "w+", encoding="utf-8")
        self.process = subprocess.Popen([*self.command, self.yaml, *more], stdin=stdin, stdout=subprocess.DEVNULL,
                                        stderr=self.log)

    def said(self):
        return (self.folder / "log").read_text(encoding="utf-8")

    def until(self, text, count=1):
        for _ in range(300):
            if len(re.findall(text, self.said())) >= count:
                return
            time.sleep(0.05)
        self.process.kill()
        sys.exit(f"`{text}` is not said {count} times:\n{self.said()}")

    def reload(self, old, new):
        before = len(re.findall("reloaded", self.said()))
        self.yaml.write_text(self.yaml.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)
        self.until("reloaded", before + 1)

    def end(self, expected):
        code = self.process.wait(30)
        log = self.said()
        print(log)
        read = re.search(r"(\d+) packets read", log)
        seen = re.search(r"out: seen (\d+) packets", log)
        if code != 0 or not read or not seen or int(read[1]) != expected or int(seen[1]) != expected:
            sys.exit(f"exit code {code}, expected {expected} packets")
        return log


def a_file(run):
    capture = run.folder / "capture.pcap"
    capture.write_bytes(HEADER + packets(40, 0.1))
    run.write(capture, "realtime")
    run.start()
    run.until("running|started|ready", 1)
    time.sleep(1)
    run.reload("capture.pcap", "none.pcap")
    run.reload("none.pcap", "capture.pcap")
    run.reload("drain_interval: 1s", "drain_interval: 2s")
    log = run.end(40)
    if log.count("replay (pcap): reads its input once: stop and start fffa to change it") != 2:
        sys.exit("the reloads are not refused")


def standard_input(run):
    run.write("-")
    run.start(stdin=subprocess.PIPE)
    run.process.stdin.write(HEADER + packets(10))
    run.process.stdin.flush()
    time.sleep(1)
    run.reload("drain_interval: 1s", "drain_interval: 2s")
    run.process.stdin.write(packets(10))
    run.process.stdin.close()
    run.end(20)


def nothing_came(run):
    run.write("-")
    run.start("--duration", "1s", stdin=subprocess.PIPE)
    run.end(0)
    run.process.stdin.close()


def main():
    fffa, plugins = sys.argv[1:]
    for case in (a_file, standard_input, nothing_came):
        with tempfile.TemporaryDirectory() as name:
            run = Run([fffa, "run", "--plugin-path", plugins], pathlib.Path(name))
            try:
                case(run)
            finally:
                run.process.kill()
                run.process.wait()


if __name__ == "__main__":
    main()
