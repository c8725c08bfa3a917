# SPDX-License-Identifier: MIT
"""Servers, networks, clocks and credentials that fail: every record arrives all the same, once."""
import datetime
import os
import time

import boto3

from case import CLOCK, MIB, S3Case
from run import wait_until
from servers import PASSWORD, USER, Metadata


class Faults(S3Case):
    def test_expired_credentials_of_a_file(self):
        proxy = self.proxy()
        keys = self.folder / "keys"

        def write(credentials):
            new = keys.with_suffix(".new")
            new.write_text(f"[default]\naws_access_key_id = {credentials['AccessKeyId']}\naws_secret_access_key = {credentials['SecretAccessKey']}\n"
                           f"aws_session_token = {credentials['SessionToken']}\n")
            new.rename(keys)

        first, second, third = (self.temporary_credentials() for _ in range(3))
        write(first)
        with self.run_fffa(endpoint=proxy.url, more=f"credentials_file: {keys}") as run:
            run.send(range(100), 1)
            run.pass_time(7)
            wait_until(lambda: len(self.objects()) == 1, "uploaded")
            proxy.expired = {first["AccessKeyId"]}
            write(second)
            run.send(range(100, 200), 8)
            run.pass_time(13)
            wait_until(lambda: len(self.objects()) == 2, "new ones are taken as they come")
            self.assertEqual(run.degraded(), [])
            proxy.expired.add(second["AccessKeyId"])
            run.send(range(200, 300), 14)
            run.pass_time(19)
            wait_until(lambda: any("ExpiredToken" in str(d) for d in run.degraded()), "health says so")
            write(third)
            wait_until(lambda: run.degraded() == [] and len(self.objects()) == 3, "goes on without a restart", 60)
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.numbers(), list(range(300)))
        for credentials in (first, second, third):
            self.assertNotIn(credentials["SecretAccessKey"], run.said())
            self.assertNotIn(credentials["SessionToken"], run.said())

    def test_credentials_expire_between_two_parts(self):
        proxy = self.proxy()
        keys = self.folder / "keys"
        keys.write_text(f"[default]\naws_access_key_id = {USER}\naws_secret_access_key = {PASSWORD}\n")
        proxy.matches = lambda method, path: "partNumber=2" in path
        proxy.faults = ["expired"]
        path, content = self.stage(40 * MIB)
        with self.run_fffa(endpoint=proxy.url, more=f"credentials_file: {keys}") as run:
            wait_until(lambda: not run.staged(), "uploaded", 60)
            run.end()
        self.assertEqual(self.objects()[str(path.relative_to(self.folder / "staging"))], content)
        self.assertEqual(sum("partNumber=1" in request for _, request, _ in proxy.seen), 1, "no part is sent twice")

    def test_clock_is_wrong(self):
        """By more than the quarter of an hour that a store takes, slow and fast."""
        # A sanitizer wants to be the first library, unless it is told that another one may be.
        environment = {"LD_PRELOAD": CLOCK, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        for number, off in enumerate((0, -20 * 60, 20 * 60, 400 * 86400)):
            proxy = self.proxy()
            with self.subTest(off=off), self.run_fffa(endpoint=proxy.url, environment=environment | {"CLOCK_OFF": str(off)}) as run:
                first = number * 100
                run.send(range(first, first + 100), 1 + 5 * number)
                run.pass_time(6 + 5 * number)
                wait_until(lambda: not run.staged() and run.metric('fffa_s3_uploads_total{outcome="stored"}') == 1, "uploaded all the same")
                stored, refused = ("PUT", 200, ""), ("PUT", 403, "RequestTimeTooSkewed")
                self.assertEqual(proxy.answers, [refused, stored] if off else [stored], "the first refusal says what time it is")
                self.assertEqual(run.metric('fffa_s3_uploads_total{outcome="denied"}'), 0)
                self.assertEqual(run.end(), 0)
        self.assertEqual(self.numbers(), list(range(400)))

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
            self.assertEqual(run.metric('fffa_s3_uploads_total{outcome="stored"}'), 1)
            wait_until(lambda: run.degraded() == [], "and health is good again")
            self.assertEqual(run.metric("fffa_s3_waiting_files"), 0)
            self.assertNotIn("not-it", run.said())
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.numbers(), list(range(10)))

    def test_no_such_bucket(self):
        with self.run_fffa(bucket=self.bucket + "-2") as run:
            run.send(range(10), 1)
            run.pass_time(7)
            wait_until(lambda: any("NoSuchBucket" in str(d) for d in run.degraded()), "health says so")
            self.assertEqual(len(run.staged()), 1)
            self.s3.create_bucket(Bucket=self.bucket + "-2")
            wait_until(lambda: not run.staged(), "uploaded once the bucket is there", 60)
            self.assertEqual(run.end(), 0)
        self.bucket += "-2"
        self.assertEqual(self.numbers(), list(range(10)))

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
        self.assertEqual(self.numbers(), list(range(400)))

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
        self.assertEqual(self.numbers(), list(range(1000)))

    def test_faults_of_an_upload_in_parts(self):
        proxy = self.proxy()
        proxy.matches = lambda method, path: "pload" in path.partition("?")[2]
        # begin: fails, and is looked for by its key; begun; part 1; part 2 three times; part 3 in vain; listed; part 3; complete: fails twice
        proxy.faults = [500, None, None, None, "reset", "200", None, 500, 500, 503, None, None, "200", None, 500]
        path, content = self.stage(40 * MIB)
        with self.run_fffa(endpoint=proxy.url) as run:
            wait_until(lambda: not run.staged(), "uploaded in spite of all", 90)
            run.end()
        self.assertEqual(proxy.faults, [], [(m, p.partition('?')[2][:20], f) for m, p, f in proxy.seen])
        self.assertEqual(self.objects()[str(path.relative_to(self.folder / "staging"))], content)
        self.assertEqual(self.uploads_in_parts(), [])
        self.assertEqual([fault for _, request, fault in proxy.seen if "partNumber=1" in request], [None], "what is there is not sent again")

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

    def temporary_credentials(self):
        sts = boto3.client("sts", endpoint_url=self.minio.url, region_name="us-east-1", aws_access_key_id=USER, aws_secret_access_key=PASSWORD)
        return sts.assume_role(RoleArn="arn:aws:iam::1:role/x", RoleSessionName="fffa-test", DurationSeconds=900)["Credentials"]

    def test_role_of_the_instance(self):
        now = lambda seconds: datetime.datetime.utcfromtimestamp(time.time() + seconds).strftime("%Y-%m-%dT%H:%M:%SZ")

        def credentials():
            if metadata.asked == 1:  # what the server does not take any more
                return {"Code": "Success", "AccessKeyId": "ASIAEXPIRED", "SecretAccessKey": "x", "Token": "y", "Expiration": now(3600)}
            role = self.temporary_credentials()
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
        self.assertEqual(self.numbers(), list(range(200)))
