# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa python3 tests/bench/kafka/source.py: CPU time a message of the source `kafka`, merged by flow_cache, from a real broker.

CPU is fffa's, of all threads: fetch and decompress, parse, merge. The broker's does not count.
"""
import os
import pathlib
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[2] / folder) for folder in ("kafka", "services")]
from kafka import Kafka  # noqa: E402
from kafka_source_test import Edge, Member  # noqa: E402

FLOWS, ROUNDS = 5000, 40


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    return next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")) / 1024


def measure(kafka, folder, topic):
    member = Member(folder, f"{topic}-{time.monotonic_ns()}", f"brokers: ['{kafka.address}'], topics: [{topic}], group: g{time.monotonic_ns()}",
                    "aggregators:\n  flows: {type: flow_cache, inputs: [in], interval: 24h}\nsinks:\n  out: {type: file, inputs: [flows], path: /dev/null}\n"
                    .replace("/dev/null", str(folder / f"{time.monotonic_ns()}.json")))
    member.wait_metric("fffa_kafka_partitions", 4)
    first, began, wall = member.metric("fffa_kafka_messages_total"), cpu_seconds(member.process.pid), time.monotonic()
    messages = FLOWS * 2 * ROUNDS
    member.wait_metric("fffa_kafka_messages_total", messages, 300)
    used, wall = cpu_seconds(member.process.pid) - began, time.monotonic() - wall
    print(f"{topic}: {(messages - first) / used / 1e3:.0f} k messages/s of CPU, {(messages - first) / wall / 1e3:.0f} k/s of time, "
          f"{resident_mib(member.process.pid):.0f} MiB at most", flush=True)
    member.kill()


def main():
    with tempfile.TemporaryDirectory() as name, Kafka() as kafka:
        folder = pathlib.Path(name)
        for format in ("json", "protobuf"):
            kafka.create_topic(format, partitions=4)
            (folder / f"edge-{format}").mkdir()
            edge = Edge(f"brokers: ['{kafka.address}'], topic: {format}, format: {format}", folder / f"edge-{format}")
            for _ in range(ROUNDS):
                edge.feed_again(FLOWS)
            if edge.end(300) != 0:
                sys.exit(edge.said())
            for _ in range(3):
                measure(kafka, folder, format)


if __name__ == "__main__":
    main()
