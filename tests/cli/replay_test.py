#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""replay_test.py FFFA PIPELINE CAPTURE: a replay beside another fffa, which has the metrics port, says nothing of it."""
import socket
import subprocess
import sys

fffa, pipeline, capture = sys.argv[1:]
with socket.socket() as other:
    try:
        other.bind(("127.0.0.1", 9464))
        other.listen()
    except OSError:
        pass  # somebody else has it: as good
    result = subprocess.run([fffa, "run", pipeline, "--set", f"sources.replay.path={capture}", "--log-level", "warning"],
                            capture_output=True, text=True, timeout=25)
if result.returncode or result.stderr or not result.stdout:
    sys.exit(f"exit code {result.returncode}\n{result.stdout}{result.stderr}")
