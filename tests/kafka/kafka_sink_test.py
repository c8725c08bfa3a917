# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa kafka_sink_test.py [CASE...]: `fffa run` with the sink kafka and a real broker. Each case starts one of its own."""
import collections
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "services"))
from kafka import Kafka, free_port  # noqa: E402

FFFA = os.environ["FFFA"]
START = 1_767_225_600  # 2026-01-01


def pcap_header():
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)


def packet(number, back, at):
    """A UDP packet of connection `number`, there or back, `at` seconds after START."""
    here, there = bytes([10, 1, number >> 8 & 255, number & 255]), bytes([10, 2, number >> 16, 1])
    ends = (there, here, 53, 20000 + number % 40000) if back else (here, there, 20000 + number % 40000, 53)
    ip = struct.pack(">BBHHHBBH4s4sHHHH", 0x45, 0, 36, 0, 0, 64, 17, 0, ends[0], ends[1], ends[2], ends[3], 16, 0) + bytes(8)
    seconds, part = divmod(at, 1)
    return struct.pack("<IIII", START + int(seconds), int(part * 1e6), len(ip), len(ip)) + ip


class Fffa:
    """`fffa run`, fed with packets through a pipe. What it reports goes to Kafka, and to a file to compare with."""

    command = (FFFA,)

    def __init__(self, sink, folder, settings="", environment=None):
        self.folder, self.settings = folder, settings
        self.lines = folder / "flows.json"
        self.metrics = free_port()
        self.configure(sink)
        self.log = folder / "log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.command, "run", folder / "pipeline.yaml", "--log-level", "debug"], stdin=subprocess.PIPE, stderr=log,
                                            env=os.environ | (environment or {}))
        self.at = 0
        self.number = 0
        self.process.stdin.write(pcap_header())

    def configure(self, sink):
        (self.folder / "pipeline.yaml").write_text(f"""
metrics: {{listen: "127.0.0.1:{self.metrics}"}}
{self.settings}
sources:
  packets: {{type: pcap, path: "-", drain_interval: 1s}}
sinks:
  copy: {{type: file, inputs: [packets], path: {self.lines}}}
  out: {{type: kafka, inputs: [packets], {sink}}}
""")

    def feed(self, flows):
        """One packet there and one back of so many new connections, within a second of the capture's time."""
        packets = b"".join(packet(self.number + i, back, self.at + 0.1 + back * 0.1) for i in range(flows) for back in (False, True))
        self.number += flows
        self.at += 1
        self.process.stdin.write(packets + packet(0, False, self.at))
        self.process.stdin.flush()

    def end(self, timeout=60):
        self.process.stdin.close()
        return self.process.wait(timeout)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass

    def said(self):
        return self.log.read_text()

    def wait_said(self, text, timeout=40):
        deadline = time.monotonic() + timeout
        while text not in self.said():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"fffa does not say {text!r}:\n{self.said()[-3000:]}")
            time.sleep(0.1)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}{path}", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def troubles(self):
        """What /healthz calls degraded."""
        return str(json.loads(self.get("/healthz"))["degraded"] or "")

    def metric(self, name):
        """The sum of what begins like that; 0 before there are metrics."""
        try:
            return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics").splitlines() if line.startswith(name))
        except OSError:
            return 0

    def wait_metric(self, name, value, timeout=40):
        deadline = time.monotonic() + timeout
        while (now := self.metric(name)) < value:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"{name} is {now}, not {value}:\n{self.said()[-4000:]}")
            time.sleep(0.1)

    def reported(self):
        return self.lines.read_text().splitlines()


class WithKafka(unittest.TestCase):
    nodes = 1

    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka(cls.nodes)
        cls.addClassCleanup(cls.kafka.close)

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def secret(self, text):
        file = self.folder / "password"
        file.write_text(text + "\n")
        return "${file:" + str(file) + "}"

    def fffa(self, sink, settings="", brokers=None, environment=None):
        started = Fffa(f"brokers: ['{brokers or self.kafka.address}'], {sink}", self.folder, settings, environment)
        self.addCleanup(started.kill)
        return started

    def run_to_end(self, sink, flows=200, rounds=3):
        fffa = self.fffa(sink)
        for _ in range(rounds):
            fffa.feed(flows)
        self.assertEqual(fffa.end(), 0, fffa.said())
        return fffa

    def assert_all_arrived(self, fffa, topic, most_twice=0):
        reported, arrived = collections.Counter(fffa.reported()), collections.Counter(m["payload"] for m in self.kafka.messages(topic))
        self.assertEqual(reported - arrived, collections.Counter(), "records are missing")
        self.assertLessEqual((arrived - reported).total(), most_twice, "records are there twice")
        self.assertEqual(set(arrived) - set(reported), set(), "records that nobody reported")


    def assert_refused(self, fffa, reason, least):
        """So many records were, for this reason and no other."""
        deadline = time.monotonic() + 40
        while (refused := self.refused(fffa, f'{{reason="{reason}"')) < least:
            self.assertLess(time.monotonic(), deadline, f"{refused} records were refused: {reason}\n{fffa.said()[-2000:]}")
            time.sleep(0.1)
        self.assertEqual(self.refused(fffa), self.refused(fffa, f'{{reason="{reason}"'))

    def refused(self, fffa, of=""):
        try:
            return fffa.metric("fffa_kafka_refused_records_total" + of)
        except OSError:  # it is not there yet
            return 0

    def assert_account(self, fffa, delivered):
        """All others are lost, and nothing is left."""
        account = next(line for line in fffa.said().splitlines() if "out: seen" in line)
        records = {part: int(number) for part, number in re.findall(r"(\w+) \d+ packets \d+ bytes (\d+) records", account)}
        everything = len(fffa.reported())
        self.assertEqual(records, {"seen": everything, "delivered": delivered, "lost": everything - delivered, "filtered": 0, "held": 0})


class Records(WithKafka):
    def test_bytes_keys_headers_and_partitions(self):
        self.kafka.create_topic("flows", partitions=4)
        fffa = self.run_to_end("topic: flows")
        self.assert_all_arrived(fffa, "flows")
        messages = self.kafka.messages("flows")
        self.assertGreater(len(messages), 1200)
        partitions = collections.defaultdict(set)
        for message in messages:
            record = json.loads(message["payload"])
            self.assertEqual(message["key"], record["community_id"])
            self.assertEqual(message["headers"], {"host": record["host"], "run_id": record["run_id"], "sequence": str(record["sequence"]),
                                                  "schema": "fffa.v3.Flow+json"})
            partitions[record["community_id"]].add(message["partition"])
        self.assertTrue(all(len(where) == 1 for where in partitions.values()))
        self.assertEqual({next(iter(where)) for where in partitions.values()}, {0, 1, 2, 3})
        self.assertEqual(collections.Counter(self.kafka.console("flows", len(messages))), collections.Counter(fffa.reported()))

    def test_ecs(self):
        self.kafka.create_topic("ecs")
        fffa = self.run_to_end("topic: ecs, format: ecs, headers: [schema]", flows=20)
        records = {record["sequence"]: record for record in map(json.loads, fffa.reported())}
        messages = self.kafka.messages("ecs")
        self.assertEqual(len(messages), len(records))
        for message in messages:
            self.assertEqual(message["headers"], {"schema": "fffa.v3.Flow+ecs"})
            found = json.loads(message["payload"])
            record = records.pop(found["event"]["sequence"])
            self.assertEqual(message["key"], found["network"]["community_id"])
            for end, name in (("source", "src"), ("destination", "dst")):
                self.assertEqual((found[end]["ip"], found[end]["port"]), (record[f"pkt_{name}_ip"], record[f"pkt_{name}_port"]))
            self.assertEqual((found["network"]["bytes"], found["@timestamp"], found["host"]["name"]), (record["bytes"], record["last_seen"], record["host"]))

    def test_compression(self):
        for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
            topic = f"squeezed-{compression}"
            self.kafka.create_topic(topic)
            self.assert_all_arrived(self.run_to_end(f"topic: {topic}, compression: {compression}", flows=20), topic)
            for file in self.folder.iterdir():
                file.unlink()

    def test_a_topic_from_the_record(self):
        for topic in ("flows-53.UDP", "flows-20007.UDP"):
            self.kafka.create_topic(topic)
        fffa = self.fffa("topic: 'flows-${dst_port}.${proto}', on_reject: drop, librdkafka: {topic.metadata.propagation.max.ms: 500}")
        fffa.feed(10)
        self.assertEqual(fffa.end(), 4)
        self.assertEqual({json.loads(m["payload"])["dst_port"] for m in self.kafka.messages("flows-53.UDP")}, {53})
        self.assertEqual([json.loads(m["payload"])["dst_port"] for m in self.kafka.messages("flows-20007.UDP")], [20007])

    def test_protobuf_read_by_protoc(self):
        self.kafka.create_topic("binary")
        fffa = self.run_to_end("topic: binary, format: protobuf", flows=1, rounds=1)
        raw = subprocess.run(["kcat", "-C", "-b", self.kafka.address, "-t", "binary", "-o", "0", "-c", "1", "-q", "-f", "%s"],
                             check=True, capture_output=True).stdout
        proto = os.environ["FFFA_PROTO"]
        text = subprocess.run(["protoc", "-I", proto, "--decode=fffa.v3.Flow", f"{proto}/flow.proto"], input=raw, check=True,
                              capture_output=True).stdout.decode()
        fields = dict(line.split(": ", 1) for line in text.splitlines())
        record = next(r for r in map(json.loads, fffa.reported()) if str(r["sequence"]) == fields["sequence"])
        for name in ("packets", "bytes", "src_port", "dst_port"):
            self.assertEqual(fields[name], str(record[name]))
        for name in ("proto", "community_id", "run_id"):
            self.assertEqual(fields[name], f'"{record[name]}"')


class Siem(WithKafka):
    """The pipeline that ships, its source replaced by a capture."""

    def test_the_pipeline_as_it_is(self):
        pipelines, capture = HERE.parent.parent / "pipelines", HERE.parent / "corpus/captures/mixed_services.pcap"
        topic = "fffa-flows"
        self.kafka.create_topic(topic, partitions=3)
        copy = self.folder / "flows.json"
        (self.folder / "capture.yaml").write_text(f"""
metrics: {{listen: ""}}
sources:
  capture: {{type: pcap, path: {capture}}}
sinks:
  copy: {{type: file, inputs: [flows], path: {copy}}}
""")
        done = subprocess.run([FFFA, "run", pipelines / "kafka-siem.yaml", pipelines / "env/local.yaml", self.folder / "capture.yaml"], capture_output=True, text=True,
                              timeout=120, env=os.environ | {"KAFKA_BROKERS": self.kafka.address, "STATE_DIRECTORY": str(self.folder)})
        self.assertEqual(done.returncode, 0, done.stderr)
        reported = copy.read_text().splitlines()
        self.assertGreater(len(reported), 10)
        self.assertEqual(sorted(self.kafka.console(topic, len(reported))), sorted(reported))
        self.assertEqual(len(self.kafka.messages(topic)), len(reported))


class Refusals(WithKafka):
    QUICK = "librdkafka: {topic.metadata.propagation.max.ms: 500}"

    def test_unknown_topic_is_held_until_it_is_there(self):
        fffa = self.fffa(f"topic: late, {self.QUICK}")
        fffa.feed(50)
        fffa.wait_said("Kafka refuses records for topic `late`: ")
        self.assertIn("pipeline.yaml:8:3", fffa.said())
        self.assertIn("out", fffa.troubles())
        self.kafka.create_topic("late")
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "late")

    def test_unknown_topic_dropped_and_counted(self):
        fffa = self.fffa(f"topic: never, on_reject: drop, {self.QUICK}")
        fffa.feed(50)
        fffa.wait_said("rejected batches are dropped")
        self.assert_refused(fffa, "unknown_topic", 100)
        self.assertEqual(fffa.end(), 4)

    def test_only_what_was_refused_is_dropped(self):
        self.kafka.create_topic("half-53")
        fffa = self.fffa(f"topic: 'half-${{dst_port}}', on_reject: drop, {self.QUICK}")
        fffa.feed(50)
        self.assertEqual(fffa.end(), 4)
        there = len(self.kafka.messages("half-53"))
        self.assertGreaterEqual(there, 50)
        self.assert_account(fffa, delivered=there)

    def test_unknown_topic_to_dead_letters(self):
        self.kafka.create_topic("dead")
        fffa = self.fffa(f"topic: nowhere, on_reject: dead_letter, dead_letter: dead, {self.QUICK}")
        fffa.feed(50)
        self.assert_refused(fffa, "unknown_topic", 100)
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "dead")
        headers = self.kafka.messages("dead")[0]["headers"]
        self.assertEqual(headers["topic"], "nowhere")
        self.assertIn("nknown topic", headers["error"])

    def test_only_what_is_too_large_itself_is_refused(self):
        self.kafka.create_topic("narrow", max_message_bytes=2500)
        self.kafka.create_topic("dead-narrow")
        fffa = self.fffa("topic: narrow, compression: none, on_reject: dead_letter, dead_letter: dead-narrow")
        fffa.feed(100)
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "narrow")

    def test_too_large_goes_to_dead_letters(self):
        self.kafka.create_topic("tiny", max_message_bytes=500)
        self.kafka.create_topic("dead-tiny")
        fffa = self.fffa("topic: tiny, compression: none, on_reject: dead_letter, dead_letter: dead-tiny")
        fffa.feed(20)
        self.assert_refused(fffa, "too_large", 40)
        self.assertEqual(fffa.metric("fffa_kafka_dead_letter_records_total"), self.refused(fffa))
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "dead-tiny")
        self.assertEqual(self.kafka.messages("tiny"), [])

    def test_too_large_is_held_until_it_is_not(self):
        self.kafka.create_topic("small", max_message_bytes=500)
        fffa = self.fffa("topic: small, compression: none")
        fffa.feed(20)
        fffa.wait_said("Kafka refuses records for topic `small`: Broker: Message size too large")
        self.assertIn("(on_reject: hold) (", fffa.said())
        self.assert_refused(fffa, "too_large", 40)
        self.assertEqual(self.kafka.messages("small"), [])
        self.kafka.change_topic("small", max_message_bytes=100_000)
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "small")

    def test_too_large_dropped_and_counted(self):
        self.kafka.create_topic("slim", max_message_bytes=500)
        fffa = self.fffa("topic: slim, compression: none, on_reject: drop")
        fffa.feed(20)
        self.assert_refused(fffa, "too_large", 40)
        self.assertEqual(fffa.end(), 4)
        self.assertEqual(self.kafka.messages("slim"), [])
        self.assert_account(fffa, delivered=0)


class Faults(WithKafka):
    def test_down_at_start(self):
        self.kafka.create_topic("patient")
        self.kafka.kill()
        fffa = self.fffa("topic: patient, librdkafka: {reconnect.backoff.max.ms: 500}")
        fffa.feed(100)
        fffa.wait_said("deliver to Kafka: ")
        self.assertIn("Connection refused", fffa.said())
        self.assertIn("deliver to Kafka", fffa.troubles())
        self.kafka.start()
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "patient")

    def test_stopped_and_killed_on_the_way(self):
        self.kafka.create_topic("bumpy", partitions=3)
        fffa = self.fffa("topic: bumpy, librdkafka: {reconnect.backoff.max.ms: 500, socket.timeout.ms: 3000}")

        def feed_for(seconds):
            for _ in range(int(seconds * 5)):
                fffa.feed(100)
                time.sleep(0.2)

        feed_for(2)
        self.kafka.pause()
        feed_for(5)
        self.kafka.resume()
        feed_for(2)
        self.kafka.kill()
        feed_for(3)
        self.kafka.start()
        feed_for(1)
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "bumpy")

    def test_wrong_address(self):
        fffa = self.fffa("topic: flows", settings="shutdown_timeout: 1s", brokers=f"127.0.0.1:{free_port()}")
        fffa.feed(10)
        fffa.wait_said("Connection refused: tried again until it succeeds")
        self.assertIn("pipeline.yaml:8:3", fffa.said())
        fffa.process.send_signal(signal.SIGTERM)
        self.assertEqual(fffa.end(), 4)

    def test_no_kafka_there(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            fffa = self.fffa("topic: flows", settings="shutdown_timeout: 1s", brokers=f"127.0.0.1:{server.getsockname()[1]}")
            fffa.feed(10)
            fffa.wait_said("deliver to Kafka: ")


class Buffered(WithKafka):
    """`buffer: {type: disk}` before the sink. A stop does not wait for brokers that are away."""

    def start(self, name, topic):
        (self.folder / name).mkdir()
        fffa = Fffa(f"brokers: ['{self.kafka.address}'], topic: {topic}, buffer: {{type: disk, directory: {self.folder}/buffer}}", self.folder / name,
                    "shutdown_timeout: 1h")
        self.addCleanup(fffa.kill)
        return fffa

    def stop_without_kafka(self, fffa):
        for _ in range(5):
            fffa.feed(100)
        fffa.wait_said("deliver to Kafka: ")
        fffa.process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        self.assertEqual(fffa.end(), 0, fffa.said())
        print(f"[stopped in {time.monotonic() - begin:.1f} s]", end=" ", flush=True)
        self.assertIn("waits in the buffer for the next start", fffa.said())

    def deliver_the_rest(self, topic, first):
        """In a second run, with some more; how many records came twice."""
        self.kafka.start()
        second = self.start("second", topic)
        second.feed(100)
        self.assertEqual(second.end(), 0, second.said())
        self.assertIn("restored from the buffer", second.said())
        reported = collections.Counter(first.reported() + second.reported())
        self.assertGreater(len(reported), 1000)
        arrived = collections.Counter(m["payload"] for m in self.kafka.messages(topic))
        self.assertEqual(set(arrived), set(reported))
        return (arrived - reported).total()

    def test_down_over_a_restart(self):
        self.kafka.create_topic("kept", partitions=2)
        self.kafka.kill()
        first = self.start("first", "kept")
        self.stop_without_kafka(first)
        self.assertEqual(self.deliver_the_rest("kept", first), 0)

    def test_stopped_with_batches_in_the_air(self):
        self.kafka.create_topic("air", partitions=2)
        first = self.start("first", "air")
        first.feed(100)
        first.wait_metric('fffa_stage_sent_records_total{stage="out"', 1)
        self.kafka.kill()
        delivered = first.metric('fffa_stage_sent_records_total{stage="out"')
        self.stop_without_kafka(first)
        account = next(line for line in first.said().splitlines() if "out: seen" in line)
        self.assertIn(f"bytes {delivered:.0f} records + filtered", account)
        self.assertLessEqual(self.deliver_the_rest("air", first), len(first.reported()) - delivered)


class Secure(WithKafka):
    def sink(self, topic, password, more=""):
        return (f"topic: {topic}, librdkafka: {{security.protocol: SASL_SSL, sasl.mechanisms: PLAIN, sasl.username: fffa, "
                f"sasl.password: '{password}', ssl.ca.location: {self.kafka.ca}, reconnect.backoff.max.ms: 500{more}}}")

    def test_right_password(self):
        self.kafka.create_topic("allowed")
        self.kafka.allow("allowed")
        fffa = self.fffa(self.sink("allowed", self.secret(self.kafka.password), ", debug: 'security,broker'"), brokers=self.kafka.secure_address)
        fffa.feed(50)
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "allowed")
        self.assertNotIn(self.kafka.password, fffa.said())

    def test_wrong_password(self):
        fffa = self.fffa(self.sink("allowed", self.secret("hunter2-wrong")), "shutdown_timeout: 1s", self.kafka.secure_address)
        fffa.feed(10)
        fffa.wait_said("uthentication failed")
        self.assertNotIn("hunter2-wrong", fffa.said() + fffa.get("/healthz") + fffa.get("/metrics"))
        graph = subprocess.run([FFFA, "graph", self.folder / "pipeline.yaml"], capture_output=True, text=True)
        self.assertNotIn("hunter2-wrong", graph.stdout + graph.stderr)

    def test_no_permission_until_there_is(self):
        self.kafka.create_topic("closed")
        fffa = self.fffa(self.sink("closed", self.secret(self.kafka.password)), brokers=self.kafka.secure_address)
        fffa.feed(50)
        fffa.wait_said("Kafka refuses records for topic `closed`: Broker: Topic authorization failed")
        self.assertIn("pipeline.yaml:8:3", fffa.said())
        self.assertIn("Topic authorization failed", fffa.troubles())
        self.kafka.allow("closed")
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "closed")

    def test_no_permission_dropped_and_counted(self):
        self.kafka.create_topic("private")
        fffa = self.fffa(self.sink("private", self.secret(self.kafka.password)) + ", on_reject: drop", brokers=self.kafka.secure_address)
        fffa.feed(50)
        self.assert_refused(fffa, "authorization", 100)
        self.assertEqual(fffa.end(), 4)
        self.assertEqual(self.kafka.messages("private"), [])
        self.assert_account(fffa, delivered=0)

    def test_no_permission_to_dead_letters(self):
        for topic in ("guarded", "dead-guarded"):
            self.kafka.create_topic(topic)
        self.kafka.allow("dead-guarded")
        fffa = self.fffa(self.sink("guarded", self.secret(self.kafka.password)) + ", on_reject: dead_letter, dead_letter: dead-guarded",
                         brokers=self.kafka.secure_address)
        fffa.feed(50)
        self.assert_refused(fffa, "authorization", 100)
        self.assertEqual(fffa.end(), 0, fffa.said())
        self.assert_all_arrived(fffa, "dead-guarded")
        self.assertEqual(self.kafka.messages("guarded"), [])
        self.assertIn("authorization failed", self.kafka.messages("dead-guarded")[0]["headers"]["error"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
