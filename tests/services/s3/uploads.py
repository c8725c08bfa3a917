# SPDX-License-Identifier: MIT
"""Files become objects, whole, once, under the keys that AWS uses, and independent readers read them."""
import gzip
import os
import pathlib
import signal
import subprocess
import sys
import time

from case import FOLDER, MIB, S3Case
from run import START, wait_until
from servers import PASSWORD, USER, free_port


class Uploads(S3Case):
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

    def same_lines(self, found, wanted):
        """assertEqual() would take minutes to draw the difference of so many."""
        if found != wanted:
            lacking, besides = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
            self.fail(f"{len(found)} lines, of {len(wanted)}; lacking: {lacking[:3]}, besides: {besides[:3]}")

    def test_read_by_awscli_and_flowlogs_reader(self):
        """Every line of both, against what was sent."""
        with self.run_fffa() as run:
            run.send(range(5000), 2)
            run.send(range(5000, 65_000), 9)
            self.assertEqual(run.end(), 0)
        lines = []
        for number in range(65_000):
            second = START + 60 * (2 if number < 5000 else 9) + number % 60
            lines.append(f"2 111122223333 - 198.51.100.24 10.20.1.15 {1024 + number % 60_000} {1 + number // 60_000} 17 1 28 {second} {second} ACCEPT OK")
        lines.sort()
        silent = [f"2 111122223333 - - - - - - - - {START + 60 * minute} {START + 60 * minute + 59} - NODATA" for minute in range(3, 9)]

        copy = self.folder / "copy"
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_DEFAULT_REGION": "us-east-1"}
        subprocess.run([sys.executable, pathlib.Path(sys.executable).with_name("aws"), "--endpoint-url", self.minio.url, "s3", "cp", "--recursive",
                        "--quiet", f"s3://{self.bucket}", copy], env=environment, check=True)
        downloaded = {str(p.relative_to(copy)): p.read_bytes() for p in copy.rglob("*.gz")}
        self.assertEqual(downloaded, self.objects())
        texts = [gzip.decompress(content).decode().splitlines() for content in downloaded.values()]
        self.assertEqual(len(texts), 2)
        found = sorted(line for text in texts for line in text[1:])
        self.same_lines([line for line in found if line.endswith(" OK")], lines)
        self.assertEqual([line for line in found if not line.endswith(" OK")], silent)

        self.same_lines(sorted(" ".join(record.to_message().split()[:14]) for record in self.records()), lines)

    def test_bucket_in_the_hosts_name(self):
        proxy = self.proxy()
        path, content = self.stage(20 * MIB)
        with self.run_fffa(endpoint=proxy.url.replace("127.0.0.1", "localhost"), more="addressing: virtual") as run:
            run.send(range(1000), 1)
            self.assertEqual(run.end(), 0, run.said())
            self.assertEqual(run.staged(), [])
        self.assertEqual(proxy.hosts, {f"{self.bucket}.localhost:{proxy.server_port}"})
        self.assertEqual([request for _, request, _ in proxy.seen if not request.startswith("/AWSLogs/")], [])
        found = self.objects()
        self.assertEqual(found.pop(str(path.relative_to(self.folder / "staging"))), content)
        ports = [int(line.split()[5]) for text in found.values() for line in gzip.decompress(text).decode().splitlines()[1:]]
        self.assertEqual(sorted(ports), list(range(1024, 2024)))

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
            self.assertEqual(run.metric('fffa_s3_uploads_total{outcome="stored"}'), 1, "counted before it is gone")
            run.end()
        key = str(path.relative_to(self.folder / "staging"))
        self.assertEqual(self.objects()[key], content)
        self.assertIn("-3", self.s3.head_object(Bucket=self.bucket, Key=key)["ETag"], "in three parts")
        self.assertEqual(self.uploads_in_parts(), [])
        self.assertEqual(list(path.parent.glob(".*.upload")), [])

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
        self.assertLessEqual(set(range(50)), set(self.numbers()))

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
        self.assertEqual(self.numbers(), list(range(100)))

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
