# SPDX-License-Identifier: MIT
"""What waits on disk takes no memory, however much it is."""
import os

from case import MIB, S3Case
from run import wait_until

ENVIRONMENT = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}  # else it keeps what was freed


class Memory(S3Case):
    def grew_less(self, run, begun, limit):
        print(f"{begun / MIB:.1f} MiB, then {run.peak() / MIB:.1f} MiB", end=" ", flush=True)
        self.assertLess(run.peak(), begun + limit)

    def test_store_is_down(self):
        self.minio.stop()
        self.addCleanup(self.minio.start)
        with self.run_numbered("records: 100, pause: 0s", more="max_size: 100kB", environment=ENVIRONMENT) as run:
            sent = lambda: run.metric('fffa_stage_sent_records_total{stage="logs"}')
            wait_until(lambda: sent() >= 100_000, "what is held in memory has its size")
            begun = run.peak()
            wait_until(lambda: sent() >= 1_000_000, "ten times as much waits", 60)
            self.assertGreater(len(run.staged()), 100)
            self.grew_less(run, begun, 16 * MIB)

    def test_large_file(self):
        with self.run_fffa(environment=ENVIRONMENT) as run:
            run.send(range(10), 1)
            run.pass_time(7)
            wait_until(lambda: len(self.objects()) == 1, "a small one is uploaded")
            begun = run.peak()
            path, content = self.stage(64 * MIB)
            run.pass_time(13)  # seals another small one, with which it goes
            wait_until(lambda: not run.staged(), "uploaded", 60)
            self.grew_less(run, begun, 8 * MIB)  # half a part
            run.end()
        self.assertEqual(self.objects()[str(path.relative_to(self.folder / "staging"))], content)
