#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`fffa run ... | head -1`: the reader leaves while the source goes on. The run ends by itself, says so once, and accounts for what was lost."""
import pathlib
import re
import subprocess
import sys
import tempfile

PIPELINE = """
sources:
  numbers: {type: counter, records: 1000000}
sinks:
  out: {type: stdout, inputs: [numbers]}
metrics: {listen: ""}
shutdown_timeout: 1h    # the end does not wait for it
"""


def run(fffa, plugins, folder):
    """Output of `head -1`, log and exit code of fffa."""
    process = subprocess.Popen([fffa, "run", "--plugin-path", plugins, folder / "pipeline.yaml"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = subprocess.run(["head", "-1"], stdin=process.stdout, stdout=subprocess.PIPE, check=True).stdout
        process.stdout.close()
        log = process.stderr.read().decode()
        return line, log, process.wait()
    finally:
        process.kill()
        process.wait()


def main():
    fffa, plugin = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "stdout.so").symlink_to(plugin)  # that one and no other
        (folder / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
        line, log, code = run(fffa, folder, folder)
    print(log)
    if not line.startswith(b"{") or code != 4:
        sys.exit(f"exit code {code}, the first line is {line!r}")
    for text in ("write to standard output: Broken pipe", "stopping: there is no sink left"):
        if log.count(text) != 1:
            sys.exit(f"`{text}` is said {log.count(text)} times")
    account = re.search(r"out: seen (\d+) packets .* (\d+) records = delivered .* (\d+) records \+ filtered .* "
                        r"lost .* (\d+) records \+ held .* 0 records$", log, re.MULTILINE)
    if not account or int(account[2]) != int(account[3]) + int(account[4]):
        sys.exit("no account, or a wrong one")
    if len(log.splitlines()) > 6:
        sys.exit("it says too much")


if __name__ == "__main__":
    main()
