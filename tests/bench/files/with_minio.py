#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""with_minio.py COMMAND...: runs it, credentials in its environment, while MinIO with a bucket `logs` answers at {endpoint}, which its arguments may
name. Wants the Python of tests/services/fetch."""
import os
import pathlib
import subprocess
import sys
import tempfile

import boto3
import botocore.config

services = pathlib.Path(__file__).resolve().parents[2] / "services"
sys.path.insert(0, str(services / "s3"))
os.environ["S3_TEST_MINIO"] = subprocess.run([services / "fetch", "minio"], check=True, capture_output=True, text=True).stdout.strip()
from servers import PASSWORD, USER, Minio  # noqa: E402

with tempfile.TemporaryDirectory(prefix="fffa-bench-") as folder:
    minio = Minio(folder)
    minio.start()
    try:
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_EC2_METADATA_DISABLED": "true"}
        boto3.client("s3", endpoint_url=minio.url, region_name="us-east-1", aws_access_key_id=USER, aws_secret_access_key=PASSWORD,
                     config=botocore.config.Config(proxies={})).create_bucket(Bucket="logs")
        sys.exit(subprocess.run([argument.replace("{endpoint}", minio.url) for argument in sys.argv[1:]], env=environment).returncode)
    finally:
        minio.stop()
