#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fffa started with its standard streams closed: their numbers must not go to what it opens itself, or records and log
lines would be written there. And a file size limit must not kill it."""
import os
import pathlib
import signal
import subprocess
import sys
import time


def close_streams():
    for fd in range(3):
        os.close(fd)


def state(pid):
    streams = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)]
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    ignored = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:"))
    return streams, bool(ignored >> (signal.SIGXFSZ - 1) & 1), len(os.listdir(f"/proc/{pid}/task"))


def main():
    command = [sys.argv[1], "run", "installed.yaml", "--set", "sources.numbers.records=1000000", "--duration", "10s"]
    process = subprocess.Popen(command, preexec_fn=close_streams, restore_signals=True)
    try:
        for _ in range(100):
            time.sleep(0.1)
            if process.poll() is not None:
                sys.exit(f"it ended by itself, with {process.returncode}")
            streams, ignored, threads = state(process.pid)
            if threads > 1:  # it runs: all that is opened at the start is open
                break
        else:
            sys.exit("it did not begin to run")
        if streams != ["/dev/null"] * 3:
            sys.exit(f"standard streams are {streams}")
        if not ignored:
            sys.exit("SIGXFSZ is not ignored")
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
