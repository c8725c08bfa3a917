# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa FFFA_PLUGINS=(where probe.so of tests/spool is) kafka_kill_test.py Kill: SIGKILL at random moments on the whole way, source -> buffer on disk -> sink kafka ->
a real broker, which is stopped for some of the rounds. What the source was told to be delivered must be in the topic; what is there twice is counted.

FFFA_ROUNDS (200): of them. FFFA_SEED: what they are made from. 1000 rounds:
    FFFA_ROUNDS=1000 ctest --test-dir build/release -R kafka.Kill -V
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "services"), str(HERE.parent / "spool")]
from kafka import Kafka  # noqa: E402
from spool_test import Place, fail  # noqa: E402

TOPIC = "killed"
PIPELINE = """\
sources:
  in: {{type: numbers, run: {run}, batches: {batches}, records: 5, pause: {pause}, acknowledged: acknowledged}}
sinks:
  out:
    type: kafka
    inputs: [in]
    brokers: ["ADDRESS"]
    topic: TOPIC
    librdkafka: {{reconnect.backoff.max.ms: 200}}
    buffer: {{type: disk, directory: {directory}, max_size: {max_size}}}
metrics: {{listen: ""}}
shutdown_timeout: 60s
"""


class Whole(Place):
    """With Kafka at the end."""

    def __init__(self, path, kafka):
        super().__init__(path)
        self.kafka = kafka
        self.pipeline = PIPELINE.replace("ADDRESS", kafka.address).replace("TOPIC", TOPIC)

    def delivered(self):
        """RUN NUMBER of the source, and the name on the way, of every message."""
        found = []
        with subprocess.Popen(["kcat", "-C", "-b", self.kafka.address, "-t", TOPIC, "-o", "beginning", "-e", "-q", "-f", "%s\n"],
                              stdout=subprocess.PIPE) as kcat:
            for line in kcat.stdout:
                record = json.loads(line)
                found.append((str(record["ifindex"] - 1), str(record["bytes"]), record["host"] + "/" + record["run_id"], record["sequence"]))
        if kcat.returncode != 0:
            fail(f"kcat: {kcat.returncode}")
        return found


def kill(place):
    rounds = int(os.environ.get("FFFA_ROUNDS", "200"))
    seed = int(os.environ.get("FFFA_SEED", random.randrange(1 << 30)))
    print(f"{rounds} rounds, FFFA_SEED={seed}", flush=True)
    rng = random.Random(seed)
    stopped = 0
    begin = time.monotonic()
    for _ in range(rounds):
        # From the start, from the middle, or not.
        stop = rng.choice([0, rng.uniform(0.1, 0.3)]) if rng.random() < 0.25 else None
        stopped += stop is not None
        process = place.start(pause=rng.choice(["200us", "2ms"]), max_size=rng.choice(["512KiB", "64MiB"]))
        if stop is not None:
            time.sleep(stop)
            place.kafka.pause()
        time.sleep(rng.uniform(0.05, 0.5))
        process.kill()
        process.wait()
        if stop is not None:
            place.kafka.resume()
    place.ends(place.start(batches=0))
    print(f"{time.monotonic() - begin:.0f} s, the broker stopped in {stopped} rounds", flush=True)
    place.judge()
    left = [path.name for path in (place.path / "buffer").iterdir()]
    if left != ["lock"] or "damaged" in place.log():
        fail(f"left in the buffer: {left}\n{place.log()[-3000:]}")
    if len(place.acknowledged()) < 20 * rounds:
        fail(f"only {len(place.acknowledged())} records were acknowledged")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="fffa-kafka-kill-", ignore_cleanup_errors=True) as folder, Kafka() as kafka:
        kafka.create_topic(TOPIC, partitions=3)
        kill(Whole(folder, kafka))
