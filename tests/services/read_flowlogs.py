# SPDX-License-Identifier: MIT
"""Reads a directory of VPC Flow Log files with flowlogs-reader, an independent parser (its S3 reader, raise_on_error=True).

Every file below DIRECTORY becomes an S3 object of the same relative path and the same bytes, in a bucket that moto keeps within
this process; the reader then lists and fetches them through boto3 as it would at AWS. It silently passes over keys that it does not
know, so this program fails (exit 1) unless it read every object that is there. Files whose name begins with a dot are not looked at.

Standard output: one JSON object a line for each record (all fields of its version, absent ones left out), then one line
{"files": N, "records": N, "packets": N, "bytes": N} that sums them up.
"""
import argparse
import datetime
import json
import os
import pathlib
import sys

BUCKET = "flowlogs"


def upload(client, directory):
    names = []
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(directory).parts):
            name = path.relative_to(directory).as_posix()
            client.put_object(Bucket=BUCKET, Key=name, Body=path.read_bytes())
            names.append(name)
    return names


def plain(value):
    return int(value.timestamp()) if isinstance(value, datetime.datetime) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--start", metavar="UTC", type=datetime.datetime.fromisoformat, default=datetime.datetime.utcnow() - datetime.timedelta(days=1))
    parser.add_argument("--end", metavar="UTC", type=datetime.datetime.fromisoformat, default=datetime.datetime.utcnow() + datetime.timedelta(days=1))
    arguments = parser.parse_args()
    if not arguments.directory.is_dir():
        parser.error(f"{arguments.directory} is no directory")

    # Made-up credentials and an empty configuration: nothing of this machine's AWS set-up is used.
    os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-east-1",
                      AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        os.environ.pop(name, None)
    import boto3
    from flowlogs_reader import S3FlowLogsReader
    from moto import mock_aws

    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        present = upload(client, arguments.directory)
        fetched = []
        client.meta.events.register("before-parameter-build.s3.GetObject", lambda params, **_: fetched.append(params["Key"]))
        reader = S3FlowLogsReader(BUCKET, start_time=arguments.start, end_time=arguments.end, boto_client=client, raise_on_error=True)
        totals = {"files": 0, "records": 0, "packets": 0, "bytes": 0}
        for record in reader:
            fields = {k: plain(v) for k, v in ((k, getattr(record, k, None)) for k in record.__slots__) if v is not None}
            print(json.dumps(fields))
            totals["records"] += 1
            totals["packets"] += fields.get("packets", 0)
            totals["bytes"] += fields.get("bytes", 0)
        totals["files"] = len(fetched)
        print(json.dumps(totals))

    passed_over = sorted(set(present) - set(fetched))
    for name in passed_over:
        print(f"not read by flowlogs-reader: {name}", file=sys.stderr)
    return 1 if passed_over or not present else 0


if __name__ == "__main__":
    sys.exit(main())
