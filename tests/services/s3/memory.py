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
        path, content = self.stage(64 * MIB)
        proxy = self.proxy()
        proxy.matches = lambda method, path: method == "POST"
        proxy.faults = [503]  # to the request that begins it
        with self.run_fffa(endpoint=proxy.url, environment=ENVIRONMENT) as run:
            wait_until(lambda: proxy.faults == [], "no part is sent yet")
            begun = run.peak()
            wait_until(lambda: not run.staged(), "uploaded", 60)
            self.grew_less(run, begun, 8 * MIB)  # half a part
            run.end()
        self.assertEqual(self.objects(), {str(path.relative_to(self.folder / "staging")): content})
