#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`cmake --install` works after the target `runtime` alone was built, as scripts/run does: every file of the build tree that is installed is
made by that target, or there since the configuration."""
import pathlib
import re
import subprocess
import sys


def main():
    ninja, build = sys.argv[1], pathlib.Path(sys.argv[2])

    def outputs(*query):
        lines = subprocess.run([ninja, "-C", build, "-t", *query], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        return {str(build / line.strip().removeprefix("| ").split(": ")[0]) for line in lines}

    made = outputs("targets", "all")
    by_runtime = outputs("query", "runtime") | outputs("inputs", "runtime")  # the direct inputs, and theirs
    installed = set()
    for script in build.rglob("cmake_install.cmake"):
        installed |= set(re.findall(r'"(%s/[^"]+)"' % re.escape(str(build)), script.read_text(encoding="utf-8")))
    installed &= made
    names = {pathlib.Path(file).name for file in installed}
    if not {"fffa", "fffa-conformance", "libfffa_testing.a"} <= names:
        sys.exit(f"these are installed: {sorted(names)}")
    if installed - by_runtime:
        sys.exit(f"installed, and not built by `runtime`: {sorted(installed - by_runtime)}")


if __name__ == "__main__":
    main()
