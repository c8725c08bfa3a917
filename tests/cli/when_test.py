#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""when_test.py FFFA PIPELINE CAPTURE: a replay with conditions: the lines are those that match, and every account balances."""
import json
import re
import subprocess
import sys

fffa, pipeline, capture = sys.argv[1:]


def replay(*settings):
    command = [fffa, "run", pipeline, "--set", f"sources.replay.path={capture}"]
    for setting in settings:
        command += ["--set", setting]
    result = subprocess.run(command, capture_output=True, text=True, timeout=25)
    if result.returncode:
        sys.exit(f"{settings}: exit code {result.returncode}\n{result.stderr}")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    balance = {name: {unit: int(n) for n, unit in re.findall(r"(\d+) (packets|bytes|records)", text)}
               for name, text in re.findall(r"(seen|delivered|filtered|lost|held) ((?:\d+ \w+ ?)+)", result.stderr)}
    if "unaccounted" in result.stderr:
        sys.exit(f"{settings}: the account does not balance\n{result.stderr}")
    return records, balance


def flows(records):
    return sorted((r["src_ip"], r["src_port"], r["dst_ip"], r["dst_port"], r["packets"], r["bytes"]) for r in records)


def expect(what, actual, expected):
    if actual != expected:
        sys.exit(f"{what}: {actual}, expected {expected}")


def volume(records):
    return {"packets": sum(r["packets"] for r in records), "bytes": sum(r["bytes"] for r in records), "records": len(records)}


def main():
    everything, whole = replay()
    expect("filtered without a condition", whole["filtered"]["records"], 0)
    cases = {"proto == TCP": lambda r: r["proto"] == "TCP",
             "not (proto == TCP and initiator)": lambda r: not (r["proto"] == "TCP" and r["initiator"]),
             "min_rtt_us != null or proto != TCP": lambda r: r["min_rtt_us"] is not None or r["proto"] != "TCP",
             "bytes > 18446744073709551614": lambda r: False}
    for when, matches in cases.items():
        chosen = [r for r in everything if matches(r)]
        rest = [r for r in everything if not matches(r)]
        records, balance = replay(f"sinks.screen.inputs=[{{from: flows, when: '{when}'}}]")
        expect(f"lines with {when}", flows(records), flows(chosen))
        expect(f"seen with {when}", balance["seen"], whole["seen"])
        expect(f"delivered with {when}", balance["delivered"], volume(chosen))
        left_out = volume(rest)
        for unit in left_out:
            expect(f"{unit} filtered with {when}", balance["filtered"][unit], whole["filtered"][unit] + left_out[unit])
    # Before flow_cache, of what does not change in a flow: the same flows.
    records, balance = replay("aggregators.flows.inputs=[{from: replay, when: proto != TCP}]")
    chosen = [r for r in everything if r["proto"] != "TCP"]
    expect("lines with a condition before flow_cache", flows(records), flows(chosen))
    expect("packets filtered before flow_cache", balance["filtered"]["packets"] - whole["filtered"]["packets"],
           volume(everything)["packets"] - volume(chosen)["packets"])
    if not any(chosen) or len(chosen) == len(everything):
        sys.exit("the capture does not tell the conditions apart")


main()
