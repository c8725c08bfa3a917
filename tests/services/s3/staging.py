# SPDX-License-Identifier: MIT
"""A staging area that is full, or cannot be written. Needs root: file systems of its own."""
import signal
import subprocess

from case import MIB, S3Case
from run import SINK_LINE, wait_until
from servers import free_port


class Staging(S3Case):
    def setUp(self):
        super().setUp()
        self.place = self.folder / "staging"
        self.place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", self.place], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.place], check=True)

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.place], check=True)

    def fill(self):
        with self.assertRaises(OSError), open(self.place / "ballast", "ab", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))

    def said_where(self, run, trouble):
        """Health and log name the sink's place in the file."""
        wait_until(lambda: any(d["stage"] == "logs" and trouble in d["reason"] for d in run.degraded()), f"health says: {trouble}")
        self.assertRegex(run.said(), rf"{trouble}.*pipeline\.yaml:{SINK_LINE}:\d+\)")

    def first_on_disk(self, run):
        run.send(range(1000), 1)
        run.pass_time(3)
        wait_until(lambda: run.metric('fffa_stage_sent_records_total{stage="logs"}') == 1000, "the first are on disk")

    def run_full(self, run):
        self.fill()
        run.send(range(1000, 30_000), 3)
        run.pass_time(5)
        self.said_where(run, "No space left on device")

    def test_disk_full(self):
        """Of lines that no upload can make room for: they belong to a file that is written still."""
        with self.run_fffa() as run:
            self.first_on_disk(run)
            self.run_full(run)
            self.assertEqual(run.metric('fffa_stage_sent_records_total{stage="logs"}'), 1000)
            self.remount("size=16m")
            wait_until(lambda: run.degraded() == [] and run.metric('fffa_stage_sent_records_total{stage="logs"}') >= 30_000, "goes on", 60)
            self.assertEqual(run.end(), 0)
            self.assertEqual(run.staged(), [])
        self.assertEqual(self.numbers(), list(range(30_000)))

    def test_killed_while_the_disk_is_full(self):
        """What was delivered leaves a disk that has no room for anything."""
        with self.run_fffa() as run:
            self.first_on_disk(run)
            self.run_full(run)
            run.kill()
        with self.run_fffa() as run:
            wait_until(lambda: len(self.objects()) == 1, "uploaded from the full disk")
            run.send(range(30_000, 31_000), 1)
            self.assertEqual(run.end(), 0)
        found = self.numbers()
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual(set(range(1000)) - set(found), set())
        self.assertEqual(set(range(30_000, 31_000)) - set(found), set())

    def test_large_file_on_a_full_disk(self):
        """An upload in parts wants to note its id, and is what makes room."""
        self.remount("size=24m")
        path, content = self.stage(20 * MIB)
        self.fill()
        with self.run_fffa() as run:
            wait_until(lambda: not run.staged(), "uploaded", 60)
            run.end()
        self.assertEqual(self.objects()[str(path.relative_to(self.place))], content)
        self.assertEqual(self.uploads_in_parts(), [])

    def test_read_only(self):
        with self.run_fffa() as run:
            self.first_on_disk(run)
            # over it: a file system with files that are open cannot be made read-only
            subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", self.place], check=True)
            run.send(range(1000, 2000), 6)
            run.pass_time(8)
            self.said_where(run, "Read-only file system")
            subprocess.run(["umount", self.place], check=True)
            wait_until(lambda: run.degraded() == [], "goes on without a restart", 60)
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.numbers(), list(range(2000)))

    def test_not_writable_at_the_start(self):
        self.remount("ro")
        with self.run_fffa() as run:
            self.assertNotEqual(run.process.wait(20), 0)
            self.assertRegex(run.said(), rf"write into .*staging: Read-only file system \(.*pipeline\.yaml:{SINK_LINE}:\d+\)")

    def test_max_staging_blocks(self):
        nobody = f"http://127.0.0.1:{free_port()}"
        self.remount("size=16m")
        self.stage(100_000)
        with self.run_fffa(endpoint=nobody, more="max_staging: 50kB") as run:
            run.send(range(50), 1)
            run.pass_time(7)
            self.said_where(run, "max_staging")
            run.write_config(self.bucket, self.minio.url, "max_staging: 50kB", "10s")
            run.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(self.objects()) == 2, "goes on when there is room", 60)
            self.assertEqual(run.end(), 0, run.said())
