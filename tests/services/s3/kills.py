# SPDX-License-Identifier: MIT
"""SIGKILL: every record that was acknowledged arrives."""
import gzip
import os
import random
import re
import time

from case import MIB, S3Case
from run import wait_until

KILLS = int(os.environ.get("KILLS", "200"))


class Kills(S3Case):
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
        self.assertEqual(sum("partNumber=1" in request for _, request, _ in proxy.seen), 1, "what the store has is not sent again")
        self.assertEqual(self.uploads_in_parts(), [], "no parts are left")
        self.assertEqual(list(path.parent.glob(".*.upload")), [])

    def test_killed_after_delivery(self):
        """A whole pipeline: what the sink has delivered, by its own account, arrives, in the middle of its 5 minutes too."""
        delivered = 0
        for start in range(5):
            with self.run_fffa() as run:
                run.send(range(delivered, delivered + 1000), 1)
                run.send(range(59_000, 59_010), 3)  # held by flow_cache
                wait_until(lambda: run.metric('fffa_stage_sent_records_total{stage="logs"}') == 1000, "delivered")
                run.kill()
            delivered += 1000
        with self.run_fffa() as run:
            self.assertEqual(run.end(), 0)
        # and of the second minute, in which nothing came, perhaps a NODATA line already
        self.assertEqual(len(re.findall("left by a run that was killed: 100[01] records, 0 bytes", run.said())), 5, run.said())
        self.assertEqual(self.numbers(), list(range(delivered)))

    def take_keys(self, run, moments):
        """Of some files that wait, or were being written: for other bytes, a log without records."""
        for path in run.staging.rglob("*.log.gz*"):
            if path.suffix in (".gz", ".part") and moments.random() < 0.25:
                key = path.relative_to(run.staging).with_name(path.name.removeprefix(".").removesuffix(".part"))
                self.s3.put_object(Bucket=self.bucket, Key=str(key), Body=gzip.compress(b"version\n"))

    def wait_for_line(self, run, since):
        """Until the journal has a batch more that was delivered."""
        journal = self.folder / "journal"
        while run.process.poll() is None:
            if journal.exists() and b"delivered" in journal.read_bytes()[since:]:
                return
            time.sleep(0.002)
        self.fail(run.said()[-2000:])

    def test_killed_at_any_moment(self):
        """What was acknowledged arrives, and nothing twice: no record is offered again here."""
        seed = random.randrange(2**32)
        moments = random.Random(seed)
        journal, first = self.folder / "journal", 60_000
        for _ in range(KILLS):
            since = journal.stat().st_size if journal.exists() else 0
            with self.run_numbered(f"first: {first}", more="max_size: 30kB") as run:
                # a quarter while fffa starts and what the one before left is being repaired
                if moments.random() >= 0.25:
                    self.wait_for_line(run, since)
                time.sleep(moments.random() * 0.1)
                run.kill()
            self.take_keys(run, moments)
            if journal.exists():
                first = max([first] + [int(line.split()[2]) for line in journal.read_bytes()[since:].splitlines()])
        with self.run_numbered("batches: 0", shutdown="60s") as run:
            self.assertEqual(run.end(), 0, run.said()[-2000:])
        self.assertEqual(list(run.staging.rglob("*.gz*")), [], f"seed {seed}: " + run.said()[-2000:])
        emitted, delivered = self.journal("emitted"), set(self.journal("delivered"))
        found = [60_000 * r.dstport + r.srcport for r in self.records()]
        self.assertEqual(len(emitted), len(set(emitted)))
        self.assertEqual(delivered - set(found), set(), f"seed {seed}")
        self.assertEqual(set(found) - set(emitted), set(), f"seed {seed}")
        self.assertEqual(len(found), len(set(found)), f"seed {seed}")
        self.assertEqual(self.uploads_in_parts(), [])
        print(f"{KILLS} kills, {len(delivered)} records delivered and found, {len(found) - len(delivered)} of {len(emitted) - len(delivered)} others, "
              f"in {len(self.objects())} objects, {run.said().count('other bytes have its key')} renamed", end=" ", flush=True)
