# SPDX-License-Identifier: MIT
"""One run of fffa that uploads VPC Flow Log files: of packets from a pipe, or of what `stages` says."""
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import time
import urllib.request

from servers import PASSWORD, USER, free_port

START = 1_767_225_600  # 2026-01-01 00:00:00
TICK = 59_999  # the number of packets that only move time

PIPELINE = """
sinks:
  logs:
    type: vpc_flow_log
    inputs: [flows]
    directory: {staging}
    account_id: "111122223333"
    region: us-east-1
    bucket: {bucket}
    endpoint: {endpoint}
{more}
{stages}
shutdown_timeout: {shutdown}
metrics: {{listen: "127.0.0.1:{port}"}}
"""
PACKETS = """
sources:
  packets: {type: pcap, path: "-"}
aggregators:
  flows: {type: flow_cache, inputs: [packets], interval: 60s}
"""
SINK_LINE = PIPELINE.splitlines().index("  logs:") + 1


def packet(number, second):
    """One UDP packet of a flow of its own: one line in the log, which its ports tell."""
    udp = struct.pack(">HHHH", 1024 + number % 60000, 1 + number // 60000, 8, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes([198, 51, 100, 24]), bytes([10, 20, 1, 15]))
    frame = bytes(12) + b"\x08\x00" + ip + udp
    return struct.pack("<IIII", second, 0, len(frame), len(frame)) + frame


class Run:
    """`with` ends it if it still runs."""

    def __init__(self, fffa, folder, bucket, endpoint, more="", shutdown="10s", environment=None, stages=PACKETS, plugins=()):
        self.folder, self.port = pathlib.Path(folder), free_port()
        self.staging = self.folder / "staging"
        self.config = self.folder / "pipeline.yaml"
        self.write_config(bucket, endpoint, more, shutdown, stages)
        self.log = self.folder / "fffa.log"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and "proxy" not in k.lower()}
        clean.update({"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD, "HOME": str(folder)})
        clean.update(environment or {})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([fffa, "run", *plugins, self.config], stdin=subprocess.PIPE, stderr=log, stdout=log,
                                            env={k: v for k, v in clean.items() if v is not None})
        self.process.stdin.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self.process.stdin.flush()

    def write_config(self, bucket, endpoint, more, shutdown, stages=PACKETS):
        lines = "\n".join("    " + line for line in more.splitlines())
        self.config.write_text(PIPELINE.format(staging=self.staging, bucket=bucket, endpoint=endpoint, more=lines, stages=stages, shutdown=shutdown,
                                               port=self.port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def send(self, numbers, minute):
        """Packets within a minute; their file is sealed when a later one moves time past its 5 minutes."""
        self.process.stdin.write(b"".join(packet(n, START + 60 * minute + n % 60) for n in sorted(numbers, key=lambda n: n % 60)))
        self.process.stdin.flush()

    def pass_time(self, minute):
        """A packet that only moves time."""
        self.send([TICK], minute)

    def end(self, how=None, timeout=60):
        """By end of input, or a signal. The exit code."""
        if how is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(how)
        code = self.process.wait(timeout)
        if how is not None:
            self.process.stdin.close()
        self.process.stdin = open(os.devnull, "wb")
        return code

    def kill(self):
        return self.end(signal.SIGKILL)

    def said(self):
        return self.log.read_text()

    def degraded(self):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as page:
            return json.load(page)["degraded"]

    def metric(self, series):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
            for line in page.read().decode().splitlines():
                name, _, value = line.rpartition(" ")
                if name.startswith(series.split("{")[0]) and all(label in name for label in series.partition("{")[2].rstrip("}").split(",")):
                    return float(value)
        return 0.0

    def peak(self):
        """Bytes of memory that were resident at most."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    def staged(self):
        """Sealed files that wait."""
        return sorted(p for p in self.staging.rglob("*.log.gz") if not p.name.startswith("."))


def wait_until(condition, what, limit=30):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass  # not listening yet
        time.sleep(0.05)
    raise AssertionError(f"not within {limit} s: {what}")
