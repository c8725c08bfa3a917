#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one case of the command line: files, a command, and exactly what must come of it.

A case is a text file. Lines that begin with `--- ` divide it into parts:

  --- file NAME           a file in the folder where the command runs
  --- bytes NAME          the same, with Python's escapes (\\x00)
  --- env NAME=VALUE      a variable
  --- command             one line; `fffa` is the program under test
  --- exit N...           the exit code, or several that are right
  --- stdout, --- stderr  the output, line by line. A line that begins with `~ ` is a regular expression for the whole line; the line `...`
                          stands for any lines. A part that is left out is not looked at.

What stands before the first part is a comment. {NAME} stands for the paths given with --place.
--update writes what came out into the case, where it holds neither `~ ` nor `...`.
"""
import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile


def read_case(path):
    parts, current = [], None
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("--- "):
            current = [line[4:].strip(), ""]
            parts.append(current)
        elif current:
            current[1] += line
    return parts


def matches(expected, actual):
    """Line by line, `...` taking as few lines as it can."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[i:]) for i in range(len(actual) + 1))
    if not actual:
        return False
    same = re.fullmatch(expected[0][2:], actual[0]) if expected[0].startswith("~ ") else expected[0] == actual[0]
    return bool(same) and matches(expected[1:], actual[1:])


def prepare(parts, folder, environment):
    command = None
    for head, body in parts:
        word, _, rest = head.partition(" ")
        if word == "file":
            (folder / rest).parent.mkdir(parents=True, exist_ok=True)
            (folder / rest).write_text(body, encoding="utf-8")
        elif word == "bytes":
            (folder / rest).write_bytes(body.rstrip("\n").encode("latin-1").decode("unicode_escape").encode("latin-1"))
        elif word == "env":
            name, _, value = rest.partition("=")
            environment[name] = value
        elif word == "command":
            command = body.strip()
        elif word not in ("exit", "stdout", "stderr"):
            sys.exit(f"unknown part: --- {head}")
    return command or sys.exit("the case has no command")


def run(parts, options, places):
    with tempfile.TemporaryDirectory(prefix="fffa_cli_") as name:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FFFA_")}
        command = prepare(parts, pathlib.Path(name), environment)
        for key, path in places.items():
            command = command.replace("{" + key + "}", path)
        words = shlex.split(command)
        if words[0] != "fffa":
            sys.exit("the command must begin with fffa")
        return subprocess.run([options.fffa, *words[1:]], cwd=name, env=environment, capture_output=True, timeout=25)


def check(parts, result, places):
    """The names of the parts that differ, with what came instead."""
    wrong = {}
    for index, (head, body) in enumerate(parts):
        word, _, rest = head.partition(" ")
        if word == "exit" and str(result.returncode) not in rest.split():
            wrong[index] = f"exit {result.returncode}"
        if word not in ("stdout", "stderr"):
            continue
        actual = getattr(result, word).decode("utf-8", errors="replace")
        for key, path in places.items():
            actual = actual.replace(path, "{" + key + "}")
        if not matches(body.splitlines(), actual.splitlines()):
            wrong[index] = actual
    return wrong


def update(path, parts, wrong):
    comment = path.read_text(encoding="utf-8").split("--- ", 1)[0]
    text = comment
    for index, (head, body) in enumerate(parts):
        pattern = any(line == "..." or line.startswith("~ ") for line in body.splitlines())
        if index in wrong and not pattern:
            head, body = (wrong[index], body) if head.startswith("exit") else (head, wrong[index])
        text += f"--- {head}\n{body}"
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=pathlib.Path)
    parser.add_argument("--fffa", required=True)
    parser.add_argument("--place", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    places = dict(place.split("=", 1) for place in options.place)
    parts = read_case(options.case)
    if not any(head.startswith("exit ") for head, _ in parts):
        sys.exit("the case expects no exit code")
    result = run(parts, options, places)
    wrong = check(parts, result, places)
    if wrong and options.update:
        return update(options.case, parts, wrong)
    for index, actual in wrong.items():
        print(f"--- {parts[index][0]}: expected\n{parts[index][1]}--- got\n{actual}")
    if wrong:
        sys.exit(f"stderr was:\n{result.stderr.decode(errors='replace')}")
    return None


if __name__ == "__main__":
    main()
