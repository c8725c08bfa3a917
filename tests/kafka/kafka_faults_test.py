# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa kafka_faults_test.py [CASE...]: the sink kafka while brokers fail, are slow, or are not what the configuration says. Every record is counted by host,
run and sequence. FFFA_KAFKA_OUTAGE_SECONDS (60): how long the long outage is."""
import collections
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

from kafka_sink_test import FFFA, WithKafka, free_port
from proxy import Proxy

OUTAGE = int(os.environ.get("FFFA_KAFKA_OUTAGE_SECONDS", "60"))
MOST_MEMORY = 350_000  # kB
PATIENT = "reconnect.backoff.max.ms: 500"


def identity(fields):
    return fields["host"], fields["run_id"], int(fields["sequence"])


class Feeder:
    """Feeds `flows` connections again and again, at most `rate` times a second, until it is left."""

    def __init__(self, fffa, flows=100, rate=10, feed=None):
        self.feed, self.flows, self.pause = feed or fffa.feed, flows, 1 / rate
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.stop.wait(self.pause):
                self.feed(self.flows)
        except (BrokenPipeError, ValueError):
            pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)


class Faults(WithKafka):
    def wait(self, what, there, timeout=30):
        deadline = time.monotonic() + timeout
        while not there():
            if time.monotonic() > deadline:
                self.fail(f"not within {timeout} s: {what}")
            time.sleep(0.1)

    def fffa(self, *arguments, **named):
        started = super().fffa(*arguments, **named)
        self.wait("the metrics are there", lambda: self.answers(started))
        return started

    def answers(self, fffa):
        try:
            return fffa.get("/healthz")
        except OSError:
            return False

    def sent(self, fffa):
        return fffa.metric('fffa_stage_sent_records_total{stage="out"')

    def wait_progress(self, fffa, records=500):
        before = self.sent(fffa)
        self.wait(f"{records} more delivered:\n{fffa.said()[-2000:]}", lambda: self.sent(fffa) >= before + records)

    def wait_health(self, fffa, good):
        self.wait(f"health {'ok' if good else 'degraded'}:\n{fffa.said()[-2000:]}", lambda: (fffa.troubles() == "") == good, 45)

    def account(self, fffa, topic, most_twice=0):
        """Nothing that fffa reported is missing, nothing else is there; how many were there twice."""
        reported = {identity(json.loads(line)) for line in fffa.reported()}
        arrived = collections.Counter(identity(message["headers"]) for message in self.kafka.messages(topic))
        self.assertGreater(len(reported), 0)
        self.assertEqual(len(reported - set(arrived)), 0, f"of {len(reported)} records are missing")
        self.assertEqual(len(set(arrived) - reported), 0, "records that nobody reported")
        twice = arrived.total() - len(arrived)
        print(f"[{len(reported)} records, {twice} twice]", end=" ", flush=True)
        self.assertLessEqual(twice, most_twice, "records are there twice")
        return twice

    def end(self, fffa, topic, most_twice=0, timeout=60):
        self.assertEqual(fffa.end(timeout), 0, fffa.said()[-3000:])
        return self.account(fffa, topic, most_twice)

    def relay(self):
        proxy = Proxy(self.kafka.relay_port, self.kafka.relayed_port)
        self.addCleanup(proxy.close)
        return proxy

    def assert_memory(self, fffa):
        with open(f"/proc/{fffa.process.pid}/status") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        print(f"[at most {peak // 1000} MB]", end=" ", flush=True)
        self.assertLess(peak, MOST_MEMORY)


class Cluster(Faults):
    nodes = 3

    def start(self, topic):
        self.kafka.create_topic(topic, partitions=3, replicas=3, min_insync_replicas=2)
        return self.fffa(f"topic: {topic}, librdkafka: {{{PATIENT}, request.timeout.ms: 3000}}", brokers="', '".join(self.kafka.addresses))

    def test_leaders_move(self):
        fffa = self.start("moved")
        with Feeder(fffa):
            self.wait_progress(fffa)
            gone = self.kafka.partitions("moved")[0]["leader"]
            ask = (gone + 1) % 3
            self.kafka.kill(gone)
            self.wait("another leader", lambda: all(each["leader"] not in (None, gone) for each in self.kafka.partitions("moved", ask)))
            self.wait_progress(fffa)
            self.kafka.start(gone)
            self.wait("all in sync", lambda: all(len(each["in_sync"]) == 3 for each in self.kafka.partitions("moved", ask)))
            self.kafka.elect_preferred(ask)
            self.wait("the old leader", lambda: gone in {each["leader"] for each in self.kafka.partitions("moved", ask)})
            self.wait_progress(fffa)
        self.wait_health(fffa, True)
        self.end(fffa, "moved")

    def test_too_few_replicas_in_sync(self):
        fffa = self.start("lonely")
        with Feeder(fffa):
            self.wait_progress(fffa)
            for node in (1, 2):
                self.kafka.pause(node)
            self.wait_health(fffa, False)
            for node in (1, 2):
                self.kafka.resume(node)
            self.wait_progress(fffa)
            self.wait_health(fffa, True)
        self.end(fffa, "lonely")


class Outages(Faults):
    def test_long_outage_in_bounded_memory(self):
        self.kafka.create_topic("outage", partitions=3)
        fffa = self.fffa(f"topic: outage, librdkafka: {{{PATIENT}}}")
        with Feeder(fffa, flows=1000, rate=50):
            self.wait_progress(fffa, 5000)
            self.kafka.kill()
            begin = time.monotonic()
            self.wait_health(fffa, False)
            time.sleep(OUTAGE / 2)
            fed, delivered = fffa.number, self.sent(fffa)
            time.sleep(max(0.0, begin + OUTAGE - time.monotonic()))
            self.assertEqual((fffa.number, self.sent(fffa)), (fed, delivered), "the source does not wait")
            self.assertIn("deliver to Kafka: ", fffa.troubles())
            self.assert_memory(fffa)
            self.kafka.start()
            self.wait("what was held", lambda: self.sent(fffa) > delivered + 5000)
        self.end(fffa, "outage")
        print(f"[{OUTAGE} s]", end=" ")

    def test_away_while_nothing_is_sent(self):
        self.kafka.create_topic("idle")
        proxy = self.relay()
        fffa = self.fffa(f"topic: idle, librdkafka: {{{PATIENT}}}", brokers=self.kafka.relayed)
        fffa.feed(100)
        self.wait_progress(fffa, 50)
        proxy.cut()
        self.wait_health(fffa, False)
        self.assertIn("no broker answers", fffa.troubles())
        proxy.restore()
        self.wait_health(fffa, True)
        fffa.feed(100)
        self.end(fffa, "idle")


class Slow(Faults):
    def test_slow_broker(self):
        self.kafka.create_topic("slow", partitions=2)
        proxy = self.relay()
        fffa = self.fffa("topic: slow, librdkafka: {socket.timeout.ms: 60000}", brokers=self.kafka.relayed)
        with Feeder(fffa, flows=500, rate=20):
            self.wait_progress(fffa)
            proxy.rate = 100_000
            time.sleep(12)
            self.assert_memory(fffa)
            self.wait_progress(fffa, 100)
            proxy.rate = None
        self.end(fffa, "slow")


class Signals(Faults):
    """With messages in the air that no broker takes."""

    def start(self, topic, settings):
        self.kafka.create_topic(topic)
        proxy = self.relay()
        fffa = self.fffa(self.sink(topic), settings, self.kafka.relayed)
        fffa.feed(100)
        self.wait_progress(fffa, 50)
        proxy.cut()
        for _ in range(10):
            fffa.feed(100)
        self.wait_health(fffa, False)
        return fffa, proxy

    def sink(self, topic, more=""):
        return f"topic: {topic}, librdkafka: {{{PATIENT}{more}}}"

    def test_term_and_the_broker_comes_back(self):
        fffa, proxy = self.start("stopped", "shutdown_timeout: 30s")
        fffa.process.send_signal(signal.SIGTERM)
        time.sleep(3)
        self.assertIsNone(fffa.process.poll(), "it does not wait for the broker")
        proxy.restore()
        self.end(fffa, "stopped")

    def test_term_and_it_stays_away(self):
        fffa, _ = self.start("abandoned", "shutdown_timeout: 2s")
        begin = time.monotonic()
        fffa.process.send_signal(signal.SIGTERM)
        self.assertEqual(fffa.end(15), 4, fffa.said()[-3000:])
        self.assertLess(time.monotonic() - begin, 12)
        there = len(self.kafka.messages("abandoned"))
        account = next(line for line in fffa.said().splitlines() if "out: seen" in line)
        self.assertIn(f"{len(fffa.reported())} records", account)
        self.assertIn(f"delivered {there}", account)

    def test_hup_changes_nothing(self):
        fffa, proxy = self.start("same", "shutdown_timeout: 30s")
        self.reload(fffa)
        self.assertNotIn("rebuilt:", fffa.said())
        proxy.restore()
        self.end(fffa, "same")

    def reload(self, fffa):
        """Done while the broker is away, before any timeout of Kafka's."""
        begin = time.monotonic()
        fffa.process.send_signal(signal.SIGHUP)
        fffa.wait_said("reloaded in")
        took = time.monotonic() - begin
        print(f"[reloaded within {took:.1f} s]", end=" ", flush=True)
        self.assertLess(took, 5)
        self.assertEqual(fffa.metric('fffa_reloads_total{result="ok"}'), 1)

    def test_hup_changes_the_sink(self):
        fffa, proxy = self.start("changed", "shutdown_timeout: 30s")
        fffa.configure(f"brokers: ['{self.kafka.relayed}'], {self.sink('changed', ', linger.ms: 1')}")
        self.reload(fffa)
        self.assertIn("rebuilt: out", fffa.said())
        fffa.feed(100)
        proxy.restore()
        # What was in the air is sent anew.
        self.wait_health(fffa, True)
        most = fffa.metric("fffa_kafka_possible_duplicates_total")
        self.end(fffa, "changed", most)


class Fatal(Faults):
    """librdkafka gives a producer up, with batches in the air."""

    def test_the_producer_is_made_anew(self):
        self.kafka.create_topic("fatal", partitions=2)
        fatal = self.folder / "fatal"
        fffa = self.fffa(f"topic: fatal, librdkafka: {{{PATIENT}}}",
                         environment={"LD_PRELOAD": os.environ["FFFA_KAFKA_FATAL"], "FFFA_TEST_FATAL": str(fatal),
                                      "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})
        with Feeder(fffa):
            self.wait_progress(fffa)
            self.kafka.pause()
            time.sleep(1)
            self.assertEqual(fffa.metric("fffa_kafka_possible_duplicates_total"), 0)
            fatal.touch()
            fffa.wait_said("the Kafka producer broke: test_fatal_error: asked for")
            self.kafka.resume()
            self.wait_progress(fffa)
        self.wait_health(fffa, True)
        self.assertEqual(fffa.metric('fffa_stage_rebuilds_total{stage="out"'), 1)
        doubtful = fffa.metric("fffa_kafka_possible_duplicates_total")
        self.assertGreater(doubtful, 0, "nothing was in the air")
        self.end(fffa, "fatal", doubtful)


class BadInput(Faults):
    def assert_trouble(self, fffa, text):
        """It is said with its place, and health is degraded."""
        fffa.wait_said(text)
        self.wait("the place", lambda: any("pipeline.yaml:8:3" in line and text in line for line in fffa.said().splitlines()))
        self.wait_health(fffa, False)

    def assert_recovers(self, fffa, topic):
        self.wait_health(fffa, True)
        self.end(fffa, topic)

    def secure(self, topic, password):
        return (f"topic: {topic}, librdkafka: {{security.protocol: SASL_SSL, sasl.mechanisms: PLAIN, sasl.username: fffa, "
                f"sasl.password: '{password}', ssl.ca.location: {self.kafka.ca}, {PATIENT}}}")

    def test_unknown_property(self):
        (self.folder / "pipeline.yaml").write_text("""sources:
  packets: {type: pcap, path: "-"}
sinks:
  out:
    type: kafka
    inputs: [packets]
    brokers: ["one:9092"]
    topic: flows
    librdkafka:
      linger.mss: 5
""")
        done = self.validate()
        self.assertEqual(done.returncode, 2)
        self.assertIn("pipeline.yaml:10:19", done.stderr)
        self.assertIn("librdkafka has no property `linger.mss`: did you mean `linger.ms`?", done.stderr)

    def validate(self, *arguments):
        return subprocess.run([FFFA, "validate", self.folder / "pipeline.yaml", *arguments], capture_output=True, text=True,
                              env=os.environ | {"KAFKA_PASSWORD": "hunter2"})

    def test_a_password_for_all_to_read(self):
        (self.folder / "pipeline.yaml").write_text("""sources:
  in:
    type: kafka
    brokers: ["one:9092"]
    topic: edge
    group: all
    librdkafka:
      ssl.key.password: "hunter2"
sinks:
  out:
    type: kafka
    inputs: [in]
    brokers: ["one:9092"]
    topic: flows
    librdkafka:
      sasl.password: hunter2
      ssl.keystore.password: ${KAFKA_PASSWORD}
""")
        done = self.validate()
        self.assertEqual(done.returncode, 2)
        what = "a secret stands here for all to read (write ${file:/path} or ${VAR})"
        self.assertEqual([line.split("pipeline.yaml:")[1] for line in done.stderr.splitlines()],
                         [f"8:25: sources.in.librdkafka.ssl.key.password: {what}", f"16:22: sinks.out.librdkafka.sasl.password: {what}"])
        def good(password):
            return ["--set", 'sources.in.librdkafka={ssl.key.password: "${KAFKA_PASSWORD}"}', "--set", f"sinks.out.librdkafka={{sasl.password: '{password}'}}"]
        self.assertEqual(self.validate(*good("${KAFKA_PASSWORD}")).returncode, 0)
        for literal in ("hunter2", "${KAFKA_PASSWORD_UNSET:-hunter2}"):
            done = self.validate(*good(literal))
            self.assertEqual((done.returncode, done.stderr), (2, f"--set:2:38: sinks.out.librdkafka.sasl.password: {what}\n"))
        for mistyped in ('"{sasl.password: hunter2}"', "sasl.password=hunter2"):
            done = self.validate("--set", f"sinks.out.librdkafka={mistyped}", "--set", "sources.in.librdkafka={}")
            self.assertEqual(done.returncode, 2, mistyped)
            self.assertIn("sinks.out.librdkafka: ", done.stderr)
            self.assertNotIn("hunter2", done.stderr)

    def test_no_such_host(self):
        fffa = self.fffa("topic: flows", "shutdown_timeout: 1s", f"no-such-host.invalid:{free_port()}")
        fffa.feed(10)
        self.assert_trouble(fffa, "Failed to resolve 'no-such-host.invalid:")

    def test_nobody_listens_until_somebody_does(self):
        self.kafka.create_topic("nobody")
        fffa = self.fffa(f"topic: nobody, librdkafka: {{{PATIENT}}}", brokers=self.kafka.relayed)
        self.wait_health(fffa, False)  # before there is a record
        fffa.feed(50)
        self.assert_trouble(fffa, "Connection refused")
        self.relay()
        self.assert_recovers(fffa, "nobody")

    def test_tls_to_a_plaintext_port(self):
        self.kafka.create_topic("tls")
        self.kafka.allow("tls")
        proxy = self.relay()
        fffa = self.fffa(self.secure("tls", self.secret(self.kafka.password)), brokers=self.kafka.relayed)
        fffa.feed(50)
        self.assert_trouble(fffa, "SSL handshake failed")
        proxy.cut()
        proxy.to = int(self.kafka.secure_address.rsplit(":", 1)[1])
        proxy.restore()
        self.assert_recovers(fffa, "tls")

    def test_plaintext_to_a_tls_port(self):
        self.kafka.create_topic("plain")
        proxy = self.relay()
        proxy.to = int(self.kafka.secure_address.rsplit(":", 1)[1])
        fffa = self.fffa(f"topic: plain, librdkafka: {{{PATIENT}}}", brokers=self.kafka.relayed)
        fffa.feed(50)
        self.assert_trouble(fffa, "connecting to a SSL listener?")
        proxy.cut()
        proxy.to = self.kafka.relayed_port
        proxy.restore()
        self.assert_recovers(fffa, "plain")

    def test_wrong_password_until_it_is_changed(self):
        self.kafka.create_topic("secret")
        self.kafka.allow("secret")
        fffa = self.fffa(self.secure("secret", self.secret("hunter2-wrong")), brokers=self.kafka.secure_address)
        fffa.feed(50)
        self.assert_trouble(fffa, "Authentication failed")
        self.assertNotIn("hunter2-wrong", fffa.said() + fffa.get("/healthz") + fffa.get("/metrics"))
        self.secret(self.kafka.password)
        fffa.process.send_signal(signal.SIGHUP)
        self.assert_recovers(fffa, "secret")
        self.assertNotIn(self.kafka.password, fffa.said())


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=[sys.argv[0], *(sys.argv[1:] or ["Cluster", "Outages", "Slow", "Signals", "Fatal", "BadInput"])])
