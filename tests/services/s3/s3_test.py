# SPDX-License-Identifier: MIT
"""s3_test.py MINIO FFFA WRITER PLUGIN [unittest arguments]: vpc_flow_log uploads to a real S3 server, which checks signatures, and which awscli and
flowlogs-reader read back. Run with the Python of tests/services/fetch."""
import datetime
import gzip
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import warnings

import boto3
import botocore.config
from flowlogs_reader import S3FlowLogsReader

from run import START, Run, wait_until
from servers import PASSWORD, USER, Metadata, Minio, Proxy, free_port

MINIO, FFFA, WRITER, PLUGIN = (sys.argv.pop(1) for _ in range(4))
KILLS = int(os.environ.get("KILLS", "20"))
MIB = 1024 * 1024
FOLDER = "AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/01/01"


def client(url, **credentials):
    names = {"aws_access_key_id": USER, "aws_secret_access_key": PASSWORD, **credentials}
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=botocore.config.Config(proxies={}), **names)


class S3Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for name in [n for n in os.environ if n.startswith("AWS_") or "proxy" in n.lower()]:
            del os.environ[name]
        os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
        cls.root = tempfile.TemporaryDirectory(prefix="fffa-s3-")
        cls.minio = Minio(MINIO, cls.root.name)
        cls.minio.start()
        cls.s3 = client(cls.minio.url)

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

    def ports(self):
        return sorted(record.srcport - 1024 for record in self.records())

    def uploads_in_parts(self):
        """Those of this test's bucket that were begun and not ended: MinIO lists them by exact key only."""
        return [p for p in (self.minio.folder / "data" / ".minio.sys" / "multipart").glob("*/*") if p.is_dir()]

    def stage(self, size, name="111122223333_vpcflowlogs_us-east-1_fl-0_20260101T0000Z_0a1b2c3d.log.gz"):
        """A sealed file as a run before left it: random, so that every part is another."""
        path = self.folder / "staging" / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        return path, path.read_bytes()

    # ---- tests

    def test_objects_arrive(self):
        with self.run_fffa(more='prefix: "some where/else"') as run:
            run.send(range(100), 1)
            run.send(range(100, 150), 6)
            wait_until(lambda: len(self.objects()) == 1, "the first file is uploaded when its 5 minutes are over")
            self.assertEqual(run.end(), 0, run.said())
            self.assertEqual(run.staged(), [])
        found = self.objects()
        pattern = f"^some where/else/{FOLDER}/111122223333_vpcflowlogs_us-east-1_fl-[0-9a-f]{{17}}_20260101T000[05]Z_[0-9a-f]{{8}}.log.gz$"
        self.assertEqual(len(found), 2)
        for key, content in found.items():
            self.assertRegex(key, pattern)
            self.assertTrue(gzip.decompress(content).startswith(b"version account-id "))
        self.assertNotIn(PASSWORD, run.said())

    def test_read_by_awscli_and_flowlogs_reader(self):
        with self.run_fffa() as run:
            run.send(range(5000), 2)
            run.end()
        copy = self.folder / "copy"
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_DEFAULT_REGION": "us-east-1"}
        subprocess.run([sys.executable, pathlib.Path(sys.executable).with_name("aws"), "--endpoint-url", self.minio.url, "s3", "cp", "--recursive",
                        "--quiet", f"s3://{self.bucket}", copy], env=environment, check=True)
        downloaded = {str(p.relative_to(copy)): p.read_bytes() for p in copy.rglob("*.gz")}
        self.assertEqual(downloaded, self.objects())
        self.assertEqual(self.ports(), list(range(5000)))

    def test_wrong_credentials(self):
        keys = self.folder / "keys"
        keys.write_text(f"[default]\naws_access_key_id = {USER}\naws_secret_access_key = not-it\n")
        with self.run_fffa(more=f"credentials_file: {keys}") as run:
            run.send(range(10), 1)
            run.pass_time(7)
            wait_until(lambda: any("SignatureDoesNotMatch" in str(d) for d in run.degraded()), "health says so")
            self.assertEqual(run.metric("fffa_s3_waiting_files"), 1)
            self.assertGreaterEqual(run.metric('fffa_s3_uploads_total{outcome="denied"}'), 1)
            self.assertEqual(len(run.staged()), 1)
            keys.write_text(f"[default]\naws_access_key_id = {USER}\naws_secret_access_key = {PASSWORD}\n")
            wait_until(lambda: not run.staged(), "the right ones are taken without a restart", 60)
            wait_until(lambda: run.degraded() == [], "and health is good again")
            self.assertEqual(run.metric("fffa_s3_waiting_files"), 0)
            self.assertNotIn("not-it", run.said())
            self.assertEqual(run.end(), 0)

    def test_no_such_bucket(self):
        with self.run_fffa(bucket=self.bucket + "-2") as run:
            run.send(range(10), 1)
            run.pass_time(7)
            wait_until(lambda: any("NoSuchBucket" in str(d) for d in run.degraded()), "health says so")
            self.assertEqual(len(run.staged()), 1)
            self.s3.create_bucket(Bucket=self.bucket + "-2")
            wait_until(lambda: not run.staged(), "uploaded once the bucket is there", 60)
            self.assertEqual(run.end(), 0)

    def test_server_down_at_start_and_in_between(self):
        self.minio.stop()
        self.addCleanup(lambda: self.minio.process or self.minio.start())
        with self.run_fffa() as run:
            run.send(range(100), 1)
            run.send(range(100, 200), 6)
            wait_until(lambda: run.degraded() != [], "health says so")
            self.minio.start()
            wait_until(lambda: not run.staged() and len(self.objects()) == 1, "uploaded once the server is there", 60)
            self.minio.stop()
            run.send(range(200, 300), 11)
            run.send(range(300, 400), 16)
            wait_until(lambda: len(run.staged()) == 2, "two wait")
            self.minio.start()
            wait_until(lambda: not run.staged(), "and go", 60)
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.ports(), list(range(400)))

    def test_faults_of_a_small_upload(self):
        proxy = self.proxy()
        proxy.matches = lambda method, path: method == "PUT"
        proxy.faults = [500, "200", "reset", 503]
        with self.run_fffa(endpoint=proxy.url) as run:
            run.send(range(1000), 1)
            run.pass_time(7)
            wait_until(lambda: not run.staged() and run.metric("fffa_s3_uploaded_bytes_total") > 0, "uploaded in spite of all", 60)
            self.assertEqual(proxy.faults, [])
            self.assertEqual(run.metric('fffa_s3_uploads_total{outcome="busy"}'), 3)
            # the reset is libcurl's own to repeat: the connection had been used before
            self.assertEqual(run.metric('fffa_s3_uploads_total{outcome="stored"}'), 1)
            run.end()
        self.assertEqual(self.ports(), sorted([*range(1000), 59]))

    def test_a_lost_answer_makes_no_second_object(self):
        proxy = self.proxy()
        proxy.matches = lambda method, path: method == "PUT"
        proxy.faults = ["lost"]
        _, content = self.stage(100_000)
        with self.run_fffa(endpoint=proxy.url) as run:
            wait_until(lambda: run.metric('fffa_s3_uploads_total{outcome="already_there"}') == 1, "the 412 counts as success")
            self.assertEqual(run.staged(), [])
            run.end()
        self.assertEqual(list(self.objects().values()), [content])

    def test_other_bytes_under_the_key_stay(self):
        path, content = self.stage(100_000)
        key = str(path.relative_to(self.folder / "staging"))
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"somebody else's")
        with self.run_fffa() as run:
            wait_until(lambda: not run.staged() and len(self.objects()) == 2, "uploaded under another name", 60)
            run.end()
        found = self.objects()
        self.assertEqual(found.pop(key), b"somebody else's")
        self.assertEqual(list(found.values()), [content])

    def test_parts(self):
        path, content = self.stage(40 * MIB + 12345)
        with self.run_fffa() as run:
            wait_until(lambda: not run.staged(), "uploaded", 60)
            self.assertEqual(run.metric('fffa_s3_uploads_total{outcome="stored"}'), 1)
            run.end()
        key = str(path.relative_to(self.folder / "staging"))
        self.assertEqual(self.objects()[key], content)
        self.assertIn("-3", self.s3.head_object(Bucket=self.bucket, Key=key)["ETag"], "in three parts")
        self.assertEqual(self.uploads_in_parts(), [])
        self.assertEqual(list(path.parent.glob(".*.upload")), [])

    def test_faults_of_an_upload_in_parts(self):
        proxy = self.proxy()
        proxy.matches = lambda method, path: "pload" in path
        # begun, part 1, part 2 (three times, again), part 3 in vain: given up; then begun, three parts, completed with an error, ended, ...
        proxy.faults = [500, None, None, "reset", "200", None, "reset", "reset", "reset", None, None, None, None, None, "200"]
        path, content = self.stage(40 * MIB)
        with self.run_fffa(endpoint=proxy.url) as run:
            wait_until(lambda: not run.staged(), "uploaded in spite of all", 90)
            run.end()
        self.assertEqual(proxy.faults, [], proxy.seen)
        self.assertEqual(self.objects()[str(path.relative_to(self.folder / "staging"))], content)
        self.assertEqual(self.uploads_in_parts(), [])

    def test_completed_but_the_answer_is_lost(self):
        proxy = self.proxy()
        proxy.matches = lambda method, path: method == "POST" and "uploadId" in path
        proxy.faults = ["lost"]
        _, content = self.stage(20 * MIB)
        with self.run_fffa(endpoint=proxy.url) as run:
            wait_until(lambda: not run.staged(), "uploaded", 60)
            run.end()
        self.assertEqual(sum(1 for method, path, _ in proxy.seen if "partNumber" in path), 2, "no part is sent twice")
        self.assertEqual(list(self.objects().values()), [content])

    def test_killed_in_the_middle_of_a_part(self):
        proxy = self.proxy()
        proxy.matches = lambda method, path: "partNumber=2" in path
        proxy.faults = ["slow"]
        path, content = self.stage(40 * MIB)
        with self.run_fffa(endpoint=proxy.url) as run:
            wait_until(lambda: proxy.faults == [], "part 2 is under way")
            run.kill()
        self.assertEqual(len(self.uploads_in_parts()), 1)
        with self.run_fffa(endpoint=proxy.url) as run:
            wait_until(lambda: not run.staged(), "uploaded by the next start", 60)
            run.end()
        self.assertEqual(self.objects()[str(path.relative_to(self.folder / "staging"))], content)
        self.assertEqual(self.uploads_in_parts(), [], "no parts are left")
        self.assertEqual(list(path.parent.glob(".*.upload")), [])

    def test_killed_at_any_moment(self):
        """What was acknowledged arrives; a line twice would be a fault too: nothing is offered again here. Every start of the writer has
        the same run id and so the same names of files: most keys are taken by other bytes, too."""
        options = (f"directory: {self.folder / 'staging'}\nbucket: {self.bucket}\nendpoint: {self.minio.url}\naccount_id: '111122223333'\n"
                   "region: us-east-1\nmax_size: 3kB\n")
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD}
        seed = random.randrange(2**32)
        moments = random.Random(seed)
        acknowledged, offered, first = set(), 0, 60_000
        for _ in range(KILLS):
            with subprocess.Popen([WRITER, PLUGIN, options, str(first)], stdout=subprocess.PIPE, env=environment, text=True) as writer:
                writer.stdout.readline()
                time.sleep(moments.random() * 0.3)
                writer.kill()
                told = writer.stdout.read().split("\n")[-2:-1]
            end = int(told[0]) if told else first + 50
            acknowledged.update(range(first, end))
            first = end + 1000  # the batch under way is offered, and not acknowledged
        last = subprocess.run([WRITER, PLUGIN, options, "0"], env=environment, check=True, capture_output=True, text=True)
        self.assertEqual(len(list((self.folder / "staging").rglob("*.gz*"))), 0, f"seed {seed}: " + last.stderr[-2000:])
        found = [60_000 * r.dstport + r.srcport for r in self.records()]
        self.assertEqual(acknowledged - set(found), set(), f"seed {seed}")
        self.assertEqual(len(found), len(set(found)), f"seed {seed}")
        self.assertEqual(self.uploads_in_parts(), [])
        print(f"{KILLS} kills, {len(acknowledged)} records acknowledged and found, {len(found) - len(acknowledged)} besides, in "
              f"{len(self.objects())} objects", end=" ", flush=True)

    def test_stopped_while_the_server_is_down(self):
        nobody = f"http://127.0.0.1:{free_port()}"
        with self.run_fffa(endpoint=nobody, shutdown="3s") as run:
            run.send(range(50), 1)
            run.send(range(50, 100), 2)
            wait_until(lambda: list(run.staging.rglob(".*.part")), "the first minute is written")
            begun = time.monotonic()
            self.assertEqual(run.end(signal.SIGTERM), 0, run.said())
            self.assertLess(time.monotonic() - begun, 10)
            self.assertRegex(run.said(), r"1 file, \d+ bytes stay in .*staging: the next start uploads them")
            self.assertEqual(len(run.staged()), 1)
        with self.run_fffa() as run:
            self.assertEqual(run.end(), 0)
            self.assertEqual(run.staged(), [])
        self.assertLessEqual(set(range(50)), set(self.ports()))

    def test_reload(self):
        nobody = f"http://127.0.0.1:{free_port()}"
        with self.run_fffa(endpoint=nobody) as run:
            run.send(range(50), 1)
            run.send(range(50, 100), 6)
            wait_until(lambda: run.degraded() != [], "it fails")
            run.write_config(self.bucket, self.minio.url, "", "10s")
            run.process.send_signal(signal.SIGHUP)
            wait_until(lambda: not run.staged() and run.degraded() == [], "the new endpoint gets what waited", 60)
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.ports(), list(range(100)))

    def test_one_process_uploads(self):
        nobody = f"http://127.0.0.1:{free_port()}"
        self.stage(1000)
        with self.run_fffa(endpoint=nobody) as first:
            wait_until(lambda: first.degraded() != [], "the first has the lock")
            with self.run_fffa() as second:
                wait_until(lambda: any("another process uploads" in str(d) for d in second.degraded()), "the second says so")
                self.assertEqual(self.objects(), {})
                first.kill()
                wait_until(lambda: not second.staged(), "and takes over", 60)
                second.end()
        self.assertEqual(len(self.objects()), 1)

    def test_role_of_the_instance(self):
        sts = boto3.client("sts", endpoint_url=self.minio.url, region_name="us-east-1", aws_access_key_id=USER, aws_secret_access_key=PASSWORD)
        now = lambda seconds: datetime.datetime.utcfromtimestamp(time.time() + seconds).strftime("%Y-%m-%dT%H:%M:%SZ")

        def credentials():
            if metadata.asked == 1:  # what the server does not take any more
                return {"Code": "Success", "AccessKeyId": "ASIAEXPIRED", "SecretAccessKey": "x", "Token": "y", "Expiration": now(3600)}
            role = sts.assume_role(RoleArn="arn:aws:iam::1:role/x", RoleSessionName="fffa-test", DurationSeconds=900)["Credentials"]
            return {"Code": "Success", "AccessKeyId": role["AccessKeyId"], "SecretAccessKey": role["SecretAccessKey"],
                    "Token": role["SessionToken"], "Expiration": now(4)}  # soon: it is asked for again

        metadata = Metadata(credentials)
        self.addCleanup(metadata.stop)
        environment = {"AWS_EC2_METADATA_DISABLED": None, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
                       "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        with self.run_fffa(environment=environment) as run:
            run.send(range(100), 1)
            run.send(range(100, 200), 6)
            wait_until(lambda: len(self.objects()) == 1, "uploaded with the role's credentials, the second that came")
            self.assertEqual(metadata.asked, 2)
            time.sleep(5)
            self.assertEqual(run.end(), 0)
            self.assertGreaterEqual(metadata.asked, 3, "renewed before they expired")
        self.assertEqual(self.ports(), list(range(200)))

    def test_full_staging_area_blocks(self):
        nobody = f"http://127.0.0.1:{free_port()}"
        self.stage(100_000)
        with self.run_fffa(endpoint=nobody, more="max_staging: 50kB") as run:
            run.send(range(50), 1)
            run.pass_time(7)
            wait_until(lambda: any("max_staging" in str(d) for d in run.degraded()), "nothing is taken")
            run.write_config(self.bucket, self.minio.url, "max_staging: 50kB", "10s")
            run.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(self.objects()) == 2, "goes on when there is room", 60)
            self.assertEqual(run.end(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
