# SPDX-License-Identifier: MIT
"""SIGKILL: every record that was acknowledged arrives."""
import os
import random
import subprocess
import time

from case import MIB, PLUGIN, WRITER, S3Case
from run import wait_until
from servers import PASSWORD, USER

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
        self.assertEqual(run.said().count("left by a run that was killed: 1000 records, 0 bytes"), 5, run.said())
        self.assertEqual(self.numbers(), list(range(delivered)))

    def test_killed_at_any_moment(self):
        """What was acknowledged arrives; a line twice would be a fault too: nothing is offered again here. Every start of the writer has
        the same run id and so the same names of files: most keys are taken by other bytes, too."""
        options = (f"directory: {self.folder / 'staging'}\nbucket: {self.bucket}\nendpoint: {self.minio.url}\naccount_id: '111122223333'\n"
                   "region: us-east-1\nmax_size: 30kB\n")
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD}
        seed = random.randrange(2**32)
        moments = random.Random(seed)
        acknowledged, first = set(), 60_000
        for _ in range(KILLS):
            with subprocess.Popen([WRITER, PLUGIN, options, str(first)], stdout=subprocess.PIPE, env=environment, text=True) as writer:
                # a quarter while what the one before left is being repaired
                told = "" if moments.random() < 0.25 else writer.stdout.readline()
                time.sleep(moments.random() * (0.1 if told else 0.05))
                writer.kill()
                told += writer.stdout.read()
            end = int(told.split("\n")[-2]) if "\n" in told else first
            acknowledged.update(range(first, end))
            first = end + 5000  # so much may be on its way, and is not acknowledged
        last = subprocess.run([WRITER, PLUGIN, options, "0"], env=environment, check=True, capture_output=True, text=True)
        self.assertEqual(len(list((self.folder / "staging").rglob("*.gz*"))), 0, f"seed {seed}: " + last.stderr[-2000:])
        found = [60_000 * r.dstport + r.srcport for r in self.records()]
        self.assertEqual(acknowledged - set(found), set(), f"seed {seed}")
        self.assertEqual(len(found), len(set(found)), f"seed {seed}")
        self.assertEqual(self.uploads_in_parts(), [])
        print(f"{KILLS} kills, {len(acknowledged)} records acknowledged and found, {len(found) - len(acknowledged)} besides, in "
              f"{len(self.objects())} objects", end=" ", flush=True)
