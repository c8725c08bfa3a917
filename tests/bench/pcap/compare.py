#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compare.py BUILD [ROUNDS]: the pcap source beside nfpcapd (nfdump) and tcptrace, on one capture, by turns.

Prints packets per second of CPU time (user and system, all threads) and the peak of resident memory, the median of the rounds, and the median
of the rounds' ratios to nfpcapd. nfpcapd counts packets and bytes only; tcptrace has TCP metrics as well.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

FLOWS, PACKETS = 100_000, 4_000_000
PIPELINE = """
sources: {{replay: {{type: pcap, path: {capture}}}}}
aggregators: {{flows: {{type: flow_cache, inputs: [replay], interval: 60s, queue: 4096}}}}
sinks: {{out: {{{sink}, inputs: [flows], format: json, queue: 4096}}}}
metrics: {{listen: ""}}
"""


def measure(command, folder):
    """CPU seconds and peak KiB of the command; it must succeed."""
    with open(folder / "stderr", "wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))} failed:\n" + (folder / "stderr").read_text()[-2000:])
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    for tool in ("nfpcapd", "tcptrace"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: scripts/setup bench")
    with tempfile.TemporaryDirectory(prefix="fffa-bench-") as name:
        folder = pathlib.Path(name)
        capture = folder / "capture.pcap"
        subprocess.run([build / "tests/bench_pcap_gen", str(FLOWS), str(PACKETS), capture], check=True)
        sinks = {"fffa, JSON file": f"type: file, path: {folder}/out.json", "fffa, /dev/null": "type: stdout"}
        commands = {}
        for number, (what, sink) in enumerate(sinks.items()):
            config = folder / f"{number}.yaml"
            config.write_text(PIPELINE.format(capture=capture, sink=sink))
            commands[what] = [build / "bin/fffa", "run", config]
        (folder / "nf").mkdir()
        commands["nfpcapd"] = ["nfpcapd", "-r", capture, "-l", folder / "nf"]
        commands["tcptrace"] = ["tcptrace", "-n", capture]
        results = {what: [] for what in commands}
        for _ in range(rounds):
            for what, command in commands.items():
                for old in [*folder.glob("out.json*"), *(folder / "nf").iterdir()]:
                    old.unlink()
                results[what].append(measure(command, folder))
        print(f"{PACKETS} packets, {FLOWS} connections, {rounds} rounds; per second of CPU, median")
        for what, runs in results.items():
            rate = statistics.median(PACKETS / cpu for cpu, _ in runs)
            memory = statistics.median(peak for _, peak in runs) / 1024
            times = statistics.median(base / cpu for (cpu, _), (base, _) in zip(runs, results["nfpcapd"]))
            print(f"{what:16} {rate / 1e6:6.2f} M packets/s  {times:5.2f} x nfpcapd  {memory:6.0f} MiB")


if __name__ == "__main__":
    main()
