#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""spool_test.py CASE: `buffer: {type: disk}` in whole processes. What the source was told to be delivered must be delivered, whatever happens in between.

FFFA: the program; FFFA_PLUGINS: where the plugin probe.so is; FFFA_ROUNDS: of the case Kill (default 200). Kill is the one to run long:
    FFFA_ROUNDS=1000 ctest --test-dir build/release -R spool.Kill -V
"""
import atexit
import collections
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

FFFA, PLUGINS = os.environ["FFFA"], os.environ["FFFA_PLUGINS"]
PIPELINE = """\
sources:
  in: {{type: numbers, run: {run}, batches: {batches}, pause: {pause}, acknowledged: acknowledged}}
sinks:
  out:
    type: notes
    inputs: [in]
    delivered: delivered
    fails: {fails}
    down: down
    buffer: {{type: disk, directory: {directory}, max_size: {max_size}, when_full: {when_full}}}
metrics: {{listen: "127.0.0.1:0"}}
shutdown_timeout: {timeout}
"""
FOREVER = 1_000_000_000
UNPRIVILEGED = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")  # a file's mode counts for root, too


class Place:
    """A folder with a pipeline, and what came of its runs."""
    pipeline = PIPELINE

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.runs = 0
        self.prefix = ()  # of the command

    def write(self, batches=FOREVER, pause="1ms", fails=0, max_size="256MiB", when_full="block", timeout="20s", directory="buffer", run=None):
        self.runs += run is None
        text = self.pipeline.format(run=self.runs, batches=batches, pause=pause, fails=fails, max_size=max_size, when_full=when_full, timeout=timeout,
                               directory=directory)
        (self.path / "pipeline.yaml").write_text(text, encoding="utf-8")

    def start(self, **options):
        self.write(**options)
        # The log of a killed process matters only where it is looked at.
        with open(self.path / "log", "ab") as log:
            process = subprocess.Popen([*self.prefix, FFFA, "run", "--plugin-path", PLUGINS, "pipeline.yaml"], cwd=self.path, stderr=log)
        atexit.register(process.kill)  # where a test fails
        return process

    def log(self):
        return (self.path / "log").read_text(encoding="utf-8")

    def degraded(self):
        """What /healthz says of the buffer: reasons."""
        port = re.findall(r"metrics on port (\d+)", self.log())[-1]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            said = json.load(error)
        return [each["reason"] for each in said["degraded"] if each["stage"] == "out (buffer)"]

    def down(self, is_down):
        path = self.path / "down"
        if is_down:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def lines(self, name):
        path = self.path / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def acknowledged(self):
        return {tuple(line.split()) for line in self.lines("acknowledged")}

    def delivered(self):
        return [tuple(line.split()) for line in self.lines("delivered")]

    def stop(self, process, code=0):
        process.terminate()
        self.ends(process, code)

    def ends(self, process, code=0):
        got = process.wait(timeout=60)
        if got != code:
            fail(f"exit code {got}, expected {code}\n{self.log()[-3000:]}")

    def judge(self, all_acknowledged=True):
        """Everything acknowledged was delivered, under one (run_id, sequence); how many came more than once."""
        delivered = self.delivered()
        names = collections.defaultdict(set)
        for run, number, run_id, sequence in delivered:
            names[run, number].add((run_id, sequence))
        missing = self.acknowledged() - names.keys()
        if missing and all_acknowledged:
            fail(f"{len(missing)} records were acknowledged and never delivered: {sorted(missing)[:10]}\n{self.log()[-3000:]}")
        renamed = {key: value for key, value in names.items() if len(value) != 1}
        if renamed:
            fail(f"run_id or sequence changed on the way: {list(renamed.items())[:5]}")
        if len(set().union(*names.values())) != len(names):
            fail("two records have one (run_id, sequence)")
        duplicates = len(delivered) - len(names)
        print(f"acknowledged {len(self.acknowledged())}, delivered {len(names)}, more than once {duplicates}, lost {len(missing)}")
        return duplicates


def fail(message):
    sys.exit("FAILED: " + message)


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            fail("not within " + str(seconds) + " s: " + what)
        time.sleep(0.01)


def balance(log):
    """The last account of the sink, in records."""
    line = re.findall(r"out: (seen .*)", log)[-1]
    if "unaccounted" in line:
        fail(line)
    parts = {name: int(records) for name, records in re.findall(r"(\w+) \d+ packets \d+ bytes (\d+) records", line)}
    parts.setdefault("restored", 0)
    if parts["seen"] + parts["restored"] != parts["delivered"] + parts["filtered"] + parts["lost"] + parts["held"]:
        fail("the account does not add up: " + line)
    return parts


def kill(place):
    """SIGKILL at random moments, a sink that fails now and then, and a last run that delivers what is left."""
    rounds = int(os.environ.get("FFFA_ROUNDS", "200"))
    seed = int(os.environ.get("FFFA_SEED", random.randrange(1 << 30)))
    print(f"{rounds} rounds, FFFA_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(rounds):
        # Small segments are begun and deleted all the time; sometimes the sink is down for the whole round.
        place.down(rng.random() < 0.3)
        process = place.start(fails=rng.choice([0, 20]), pause=rng.choice(["50us", "1ms"]), max_size=rng.choice(["512KiB", "64MiB"]))
        time.sleep(rng.uniform(0.02, 0.35))
        process.kill()
        process.wait()
    place.down(False)
    place.ends(place.start(batches=0))
    place.judge()
    left = [path.name for path in (place.path / "buffer").iterdir()]
    if left != ["lock"]:
        fail(f"left in the buffer: {left}")
    if "damaged" in place.log() or len(place.acknowledged()) < 20 * rounds:
        fail(f"{len(place.acknowledged())} records were acknowledged\n{place.log()[-3000:]}")


def down(place):
    """Stopped while the sink is down, started again: everything is delivered, once, and nothing counts as lost."""
    place.down(True)
    process = place.start(batches=500)
    wait_for(lambda: len(place.acknowledged()) > 1000, "acknowledgements while the sink is down")
    place.stop(process)
    held = balance(place.log())
    if held["delivered"] or not held["held"] or "waits in the buffer for the next start" not in place.log():
        fail(str(held))
    place.down(False)
    place.ends(place.start(batches=50))
    after = balance(place.log())
    if after["restored"] != held["held"] or after["held"] or place.judge() != 0:
        fail(str(after))
    second_run = [number for run, number, *_ in place.delivered() if run == "2"]
    if place.delivered()[0][0] != "1" or len(second_run) != after["delivered"] - after["restored"]:
        fail("what was left does not come first")


def drop_oldest(place):
    """A full buffer gives up what waited longest, and the account says how much."""
    place.down(True)
    process = place.start(batches=20000, pause="20us", max_size="1MiB", when_full="drop_oldest")
    wait_for(lambda: "what waited longest is given up" in place.log(), "a full buffer")
    wait_for(lambda: len(place.acknowledged()) > 20000, "a source that goes on")
    place.down(False)
    place.ends(process, code=4)
    parts = balance(place.log())
    delivered = place.delivered()
    if parts["lost"] == 0 or parts["delivered"] != len(delivered):
        fail(str(parts))
    numbers = [int(number) for _, number, *_ in delivered]
    if numbers != sorted(numbers) or numbers[-1] != parts["seen"]:
        fail("the newest are not there, or not in order")
    place.judge(all_acknowledged=False)


def reload(place):
    """SIGHUP with messages in flight while the sink fails: the new one goes on from the same buffer."""
    process = place.start(fails=30, pause="200us")
    wait_for(lambda: place.acknowledged(), "a first record")
    for i in range(10):
        place.down(i % 2 == 0)
        place.write(fails=i * 5, pause="200us", max_size=f"{i + 1}MiB", run=True)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda n=i: place.log().count("reloaded in") == n + 1, "the reload")
    place.down(False)
    place.stop(process)
    parts = balance(place.log())
    place.ends(place.start(batches=0))
    if place.judge() != 0 or parts["lost"] or parts["seen"] != parts["delivered"] + parts["held"]:
        fail(str(parts))


def second(place):
    """Two processes on one buffer: the second says so, with the place in the YAML."""
    process = place.start()
    wait_for(lambda: place.acknowledged(), "a first record")
    other = subprocess.run([FFFA, "run", "--plugin-path", PLUGINS, "pipeline.yaml"], cwd=place.path, capture_output=True, timeout=20, check=False)
    if other.returncode != 1 or not re.search(r"is in use: .*\(pipeline.yaml:10:13\)", other.stderr.decode()):
        fail(f"{other.returncode}: {other.stderr.decode()}")
    place.stop(process)
    place.judge()


def small_disk(place):
    """Of 2 MiB, in this process's mount namespace."""
    disk = place.path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    return disk


def full_disk(place):
    """A disk that is full, and later is not: nothing torn, no restart. Runs in a mount namespace of its own."""
    disk = small_disk(place)
    place.down(True)
    process = place.start(pause="50us", directory="disk/buffer")
    wait_for(lambda: "No space left on device (pipeline.yaml:10:13)" in place.log(), "a full disk")
    stuck = len(place.acknowledged())
    time.sleep(0.5)
    if len(place.acknowledged()) != stuck:
        fail("acknowledged without a place on disk")
    subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    wait_for(lambda: len(place.acknowledged()) > stuck, "a disk that has room again")
    wait_for(lambda: place.log().count("No space left on device") == 2, "a disk that is full again")
    process.kill()  # here of all moments
    process.wait()
    place.down(False)
    process = place.start(pause="50us", directory="disk/buffer")
    before = len(place.acknowledged())
    wait_for(lambda: len(place.acknowledged()) > before + 1000, "a sink that makes room")
    place.stop(process)
    place.judge()
    subprocess.run(["umount", disk], check=True)
    if "damaged" in place.log() or "takes batches again" not in place.log():
        fail(place.log()[-3000:])


def said_and_degraded(place, trouble):
    """The log names the place in the file, /healthz the trouble."""
    wait_for(lambda: re.search(re.escape(trouble) + r".* \(pipeline\.yaml:10:13\)", place.log()), trouble)
    wait_for(lambda: any(trouble in reason for reason in place.degraded()), "degraded: " + trouble)


def goes_on(place):
    """Without a restart."""
    before = len(place.acknowledged())
    wait_for(lambda: len(place.acknowledged()) > before + 100 and place.degraded() == [], "a run that goes on, and is well", 60)


def read_only(place):
    """A directory that a run has, and cannot write to for a while: a file system that is read-only. In a mount namespace of its own."""
    directory = place.path / "buffer"
    directory.mkdir()
    process = place.start(max_size="512KiB", pause="200us")
    goes_on(place)
    # Over it: a file system with files that are open cannot be made read-only. What comes next wants a new file.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", directory], check=True)
    said_and_degraded(place, "Read-only file system")
    stuck = len(place.acknowledged())
    time.sleep(0.5)
    if len(place.acknowledged()) != stuck:
        fail("acknowledged without a place on disk")
    subprocess.run(["umount", directory], check=True)
    goes_on(place)
    place.stop(process)
    place.ends(place.start(batches=0))
    place.judge()


def full_disk_is_said(place):
    """/healthz shows a disk that is full, and that it has room again."""
    disk = small_disk(place)
    place.down(True)
    process = place.start(directory="disk/buffer")
    said_and_degraded(place, "No space left on device")
    subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
    goes_on(place)
    place.down(False)
    place.stop(process)
    place.ends(place.start(batches=0, directory="disk/buffer"))
    place.judge()
    subprocess.run(["umount", disk], check=True)


def forbidden(place):
    """Without capabilities: nothing may be made there at the start, and later not either, until it may."""
    directory = place.path / "buffer"
    directory.mkdir()
    directory.chmod(0o555)
    place.prefix = UNPRIVILEGED
    process = place.start()
    got = process.wait(20)
    if got != 1 or not re.search(r"buffer.*: Permission denied \(pipeline\.yaml:10:13\)", place.log()):
        fail(f"{got}: {place.log()}")
    directory.chmod(0o755)
    process = place.start(max_size="512KiB", pause="200us")
    goes_on(place)
    directory.chmod(0o555)
    said_and_degraded(place, "Permission denied")
    directory.chmod(0o755)
    goes_on(place)
    place.stop(process)
    place.ends(place.start(batches=0))
    place.judge()


CASES = {"Kill": kill, "Down": down, "DropOldest": drop_oldest, "Reload": reload, "Second": second, "FullDisk": full_disk,
         "FullDiskSaid": full_disk_is_said, "ReadOnly": read_only, "Forbidden": forbidden}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="fffa-spool-", ignore_cleanup_errors=True) as folder:
        CASES[sys.argv[1]](Place(folder))
