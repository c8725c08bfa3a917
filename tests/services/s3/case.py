# SPDX-License-Identifier: MIT
"""What the S3 tests share: MinIO, a bucket and a folder for each test, and what arrived."""
import datetime
import os
import pathlib
import tempfile
import unittest
import warnings

import boto3
import botocore.config
from flowlogs_reader import S3FlowLogsReader

from run import START, TICK, Run
from servers import PASSWORD, USER, Minio, Proxy

FFFA, PLUGINS, CLOCK = (os.environ[name] for name in ("S3_TEST_FFFA", "S3_TEST_PLUGINS", "S3_TEST_CLOCK"))
MIB = 1024 * 1024
FOLDER = "AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/01/01"


def client(url, **options):
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=botocore.config.Config(proxies={}), aws_access_key_id=USER,
                        aws_secret_access_key=PASSWORD, **options)


class S3Case(unittest.TestCase):
    """A bucket of its own for each test. Records are told by their number, which their ports give."""
    @classmethod
    def setUpClass(cls):
        for name in [n for n in os.environ if n.startswith("AWS_") or "proxy" in n.lower()]:
            del os.environ[name]
        os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
        cls.root = tempfile.TemporaryDirectory(prefix="fffa-s3-")
        cls.minio, cls.s3 = cls.start_store(pathlib.Path(cls.root.name))

    @classmethod
    def start_store(cls, folder):
        store = Minio(folder)
        store.start()
        return store, client(store.url)

    @classmethod
    def tearDownClass(cls):
        cls.minio.stop()
        cls.root.cleanup()

    def setUp(self):
        warnings.simplefilter("ignore")  # of the libraries: sockets that they leave to the garbage collector
        self.bucket = "logs-" + self.id().rpartition(".")[2].lower().replace("_", "-")[:50]
        self.folder = pathlib.Path(self.root.name) / self.bucket
        self.folder.mkdir()
        self.s3.create_bucket(Bucket=self.bucket)

    def run_fffa(self, endpoint=None, bucket=None, **options):
        return Run(FFFA, self.folder, bucket or self.bucket, endpoint or self.minio.url, **options)

    def run_numbered(self, options="", **others):
        """Of numbered records (probe.cpp), without an aggregator."""
        stages = f"sources: {{flows: {{type: numbered, journal: {self.folder / 'journal'}, {options}}}}}"
        return self.run_fffa(stages=stages, plugins=("--plugin-path", PLUGINS), **others)

    def journal(self, what):
        """Numbers of records that were `emitted` or `delivered`, as often as they were."""
        lines = (line.split() for line in (self.folder / "journal").read_text().splitlines())
        return [number for word, first, end in lines if word == what for number in range(int(first), int(end))]

    def proxy(self):
        proxy = Proxy(self.minio)
        self.addCleanup(proxy.stop)
        return proxy

    # ---- what is in the bucket

    def objects(self):
        found, pages = {}, self.s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = self.s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
        return found

    def records(self):
        """As flowlogs-reader reads them; without NODATA lines."""
        start = datetime.datetime.utcfromtimestamp(START - 86400)
        reader = S3FlowLogsReader(self.bucket, start_time=start, end_time=start + datetime.timedelta(days=3), boto_client=self.s3, raise_on_error=True)
        return [record for record in reader if record.log_status == "OK"]

    def numbers(self):
        """Of every record that arrived, as often as it did."""
        found = [record.srcport - 1024 + 60_000 * (record.dstport - 1) for record in self.records()]
        return sorted(number for number in found if number != TICK)

    def uploads_in_parts(self):
        """Those of this test's bucket that were begun and not ended: MinIO lists them by exact key only."""
        return [p for p in (self.minio.folder / "data" / ".minio.sys" / "multipart").glob("*/*") if p.is_dir()]

    def stage(self, size, name="111122223333_vpcflowlogs_us-east-1_fl-0_20260101T0000Z_0a1b2c3d.log.gz"):
        """A sealed file as a run before left it: random, so that every part is another."""
        path = self.folder / "staging" / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        return path, path.read_bytes()
