#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""schema_test.py FFFA FILE...: what `fffa schema` prints is a JSON Schema (2020-12) that accepts each of the files, and refuses each of them with
one thing wrong. The distribution's Python, for its jsonschema and yaml."""
import copy
import json
import subprocess
import sys

import jsonschema
import yaml

# A key that is none, a value of a wrong type, a missing one: where, and what to put there (None: take it away).
BREAKAGES = [
    (["threads"], 0),
    (["shutdown_timeout"], "5 minutes"),
    (["source"], {}),
    (["sinks"], None),
    (["sinks", "*", "type"], "no_such_type"),
    (["sinks", "*", "inputs"], "capture"),
    (["sinks", "*", "inputs"], None),
    (["sinks", "*", "no_such_option"], 1),
    (["sources", "*", "type"], None),
    (["sources", "*", "inputs"], ["x"]),
]


def broken(config, path, value):
    config = copy.deepcopy(config)
    node = config
    for key in path[:-1]:
        node = node[next(iter(node)) if key == "*" else key]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return config


def main():
    fffa, files = sys.argv[1], sys.argv[2:]
    schema = json.loads(subprocess.run([fffa, "schema"], check=True, capture_output=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = 0
    for name in files:
        with open(name, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        for error in validator.iter_errors(config):
            print(f"{name}: refused: {error.message[:300]}")
            wrong += 1
        for path, value in BREAKAGES:
            if validator.is_valid(broken(config, path, value)):
                print(f"{name}: accepted with {'.'.join(path)} = {value}")
                wrong += 1
    sys.exit(f"{wrong} wrong" if wrong or not files else 0)


if __name__ == "__main__":
    main()
