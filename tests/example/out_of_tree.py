#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs fffa into a folder of the build tree, builds examples/syslog against it as a user would, runs its tests, then runs a pipeline that
sends to a UDP socket here and counts what arrives."""
import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

BATCHES, RECORDS = 12, 25
MESSAGE = re.compile(rb"<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ fffa - flow - (\{.*\})")  # RFC 5424


def step(what, *command, **options):
    print(f"== {what}", flush=True)
    result = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode:
        sys.exit(f"{result.stdout}\n{what}: exit code {result.returncode}: {' '.join(map(str, command))}")
    return result.stdout


def build(source, target, arguments, prefix):
    step(f"configure {source.name}", "cmake", "-G", "Ninja", "-S", source, "-B", target, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Debug",
         f"-DCMAKE_CXX_COMPILER={arguments.compiler}", f"-DCMAKE_CXX_FLAGS={arguments.flags} -Wall -Wextra -Werror")
    step(f"build {source.name}", "cmake", "--build", target, "-j2")


def run_pipeline(fffa, work):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)  # UDP drops what finds no room
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(2)
    pipeline = work / "pipeline.yaml"
    pipeline.write_text(f"""
sources:
  in:
    type: sample_source
    batches: {BATCHES}
    records: {RECORDS}
sinks:
  out:
    type: syslog
    inputs: [in]
    host: 127.0.0.1
    port: {receiver.getsockname()[1]}
""")
    paths = ["--plugin-path", work / "syslog", "--plugin-path", work / "sample_source"]
    step("fffa validate", fffa, "validate", *paths, pipeline)
    described = step("fffa plugins describe", fffa, "plugins", *paths, "describe", "syslog")
    assert "UDP port" in described and "514" in described, described
    log = step("fffa run", fffa, "run", *paths, "--set", 'metrics.listen=""', pipeline, timeout=60)
    assert f"acknowledged as delivered: {BATCHES}" in log, log
    return receiver


def count(receiver):
    packets, seen = 0, collections.Counter()
    for _ in range(BATCHES * RECORDS):
        message = MESSAGE.fullmatch(receiver.recv(65536))
        assert message, "no RFC 5424 message"
        record = json.loads(message[1])
        seen[record["src_ip"]] += 1
        packets += record["packets"]
    receiver.settimeout(0.2)
    try:
        sys.exit(f"a message too many: {receiver.recv(65536)!r}")
    except TimeoutError:
        pass
    assert len(seen) == BATCHES * RECORDS and set(seen.values()) == {1}, seen
    assert packets == RECORDS * BATCHES * (BATCHES + 1) // 2, packets
    print(f"{len(seen)} records arrived once each, {packets} packets in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--flags", default="")
    arguments = parser.parse_args()
    work = arguments.build / "tests" / "out_of_tree"
    shutil.rmtree(work, ignore_errors=True)
    prefix = work / "prefix"
    step("install", "cmake", "--install", arguments.build, "--prefix", prefix)
    build(arguments.source / "examples" / "syslog", work / "syslog", arguments, prefix)
    print(step("its tests", "ctest", "--test-dir", work / "syslog", "--output-on-failure", "--no-tests=error"))
    build(pathlib.Path(__file__).parent / "sample_source", work / "sample_source", arguments, prefix)
    count(run_pipeline(prefix / "bin" / "fffa", work))


if __name__ == "__main__":
    os.environ.pop("FFFA_PLUGIN_PATH", None)
    main()
