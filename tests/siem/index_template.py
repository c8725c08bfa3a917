# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa index_template.py [--write]: docs/siem/index-template.json, made from the field table, or compared with it."""
import json
import os
import pathlib
import subprocess
import sys

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs/siem/index-template.json"
TYPES = {"boolean": "boolean", "integer": "long", "address": "ip", "time": "date"}


def template():
    fields = json.loads(subprocess.run([os.environ["FFFA"], "fields", "--format", "json"], check=True, capture_output=True).stdout)
    properties = {"@timestamp": {"type": "date"}}
    for field in fields:
        name = field["name"]
        properties[name] = {"type": "object"} if name == "labels" else {"type": TYPES.get(field["type"], "keyword")}
    # A rule's text may be longer than a keyword can be.
    properties["netfilter_match_info"]["ignore_above"] = 1024
    labels = {"path_match": "labels.*", "match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 1024}}
    return {"index_patterns": ["fffa-flows-*"], "priority": 200,
            "template": {"settings": {"index": {"mapping": {"total_fields": {"limit": 500}}}},
                         # a label that looks like a date would else make all of its name be dates
                         "mappings": {"date_detection": False, "dynamic_templates": [{"labels": labels}], "properties": properties}}}


def main():
    text = json.dumps(template(), indent=1) + "\n"
    if "--write" in sys.argv:
        FILE.write_text(text)
    if FILE.read_text() != text:
        sys.exit(f"{FILE} is not what the field table makes of it: {sys.argv[0]} --write writes it anew")


if __name__ == "__main__":
    main()
