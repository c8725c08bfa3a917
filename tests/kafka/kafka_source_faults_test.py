# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa kafka_source_faults_test.py [CASE...]: the source kafka while its sinks fail, is told to stop or to reload meanwhile, and while its cluster changes."""
import collections
import fcntl
import json
import os
import signal
import time
import unittest

from kafka_faults_test import Feeder, identity
from kafka_sink_test import free_port
from kafka_source_test import SHORT_SESSION, Member, WithMembers

QUICK_COMMITS = "commit_interval: 500ms,"


class Clogged(Member):
    """Its standard output takes nothing until it is read."""

    def start(self):
        reader, writer = os.pipe()
        capacity = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, bytes(capacity))
        self.options = {"stdout": writer}
        super().start()
        os.close(writer)
        self.process.stdout = open(reader, "rb")
        self.filling = capacity

    def read(self, lines):
        self.process.stdout.read(self.filling)
        return [self.process.stdout.readline().decode() for _ in range(lines)]


class Failing(WithMembers):
    """Its sinks, or what it reads from."""

    def fed(self, topic, partitions=2):
        """The lines of an edge that has sent them to the topic."""
        self.kafka.create_topic(topic, partitions=partitions)
        edge = self.edge(topic, "format: json")
        edge.feed_again(200, 2)
        return [line + "\n" for line in self.written(edge)]

    def assert_all(self, lines, arrived):
        self.assertEqual(collections.Counter(arrived), collections.Counter(lines))

    def to_kafka(self, topic, port):
        return f"sinks: {{out: {{type: kafka, inputs: [in], brokers: ['127.0.0.1:{port}'], topic: {topic}, librdkafka: {{reconnect.backoff.max.ms: 500}}}}}}"

    def start(self, topic):
        """A member whose sink finds no broker."""
        lines = self.fed(topic)
        member = Member(self.folder, topic, self.source(topic, QUICK_COMMITS), self.to_kafka("taken", free_port()), "shutdown_timeout: 2s")
        self.addCleanup(member.kill)
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        member.wait_said("deliver to Kafka: ")
        return member, lines

    def test_nothing_is_committed_that_only_one_of_two_sinks_has(self):
        lines = self.fed("both")
        member = Clogged(self.folder, "both", self.source("both", QUICK_COMMITS),
                         f"sinks:\n  out: {{type: file, inputs: [in], path: {self.folder}/both/out.json}}\n  held: {{type: stdout, inputs: [in], format: json}}")
        self.addCleanup(member.kill)
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.wait("one of them has all", lambda: len(member.lines()) == len(lines))
        time.sleep(2)
        self.assertEqual(set(self.committed("both").values()), {0})
        self.assert_all(lines, member.read(len(lines)))
        self.wait_committed("both", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        self.assert_all(lines, member.lines())

    def test_term_while_the_sink_fails(self):
        member, lines = self.start("term")
        began = time.monotonic()
        self.assertEqual(member.stop(), 0, member.said())  # nothing is lost: Kafka has it still
        self.assertIn("is read again from the source: ", member.said())
        self.assertLess(time.monotonic() - began, 12)
        self.assertEqual(set(self.committed("term").values()), {0})
        member.rest = f"sinks: {{out: {{type: file, inputs: [in], path: {member.folder}/out.json}}}}"
        member.write(self.source("term", QUICK_COMMITS))
        member.start()
        member.wait_said(f"{len(lines)} messages, whose records may come twice")
        member.wait_metric("fffa_kafka_reread_messages_total", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        self.assert_all(lines, member.lines())

    def test_hup_while_the_sink_fails(self):
        self.kafka.create_topic("taken")
        member, lines = self.start("hup")
        member.rest = self.to_kafka("taken", self.kafka.address.rsplit(":", 1)[1])
        member.write(self.source("hup", QUICK_COMMITS))
        began = time.monotonic()
        member.process.send_signal(signal.SIGHUP)
        member.wait_metric('fffa_reloads_total{result="ok"', 1)
        self.assertLess(time.monotonic() - began, 12)
        self.wait_committed("hup", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        self.assert_all(lines, [message["payload"] + "\n" for message in self.kafka.messages("taken")])

    def test_hup_while_the_brokers_are_away(self):
        self.kafka.create_topic("away", partitions=2)
        edge = self.edge("away", "format: json")
        edge.feed_again(200)
        member = self.member("away", self.source("away", QUICK_COMMITS, SHORT_SESSION))
        member.wait_metric("fffa_kafka_messages_total", 400)
        self.kafka.kill()
        member.wait_said("read from Kafka: ")
        edge.feed_again(200)
        member.write(self.source("away", "commit_interval: 600ms,", SHORT_SESSION))
        began = time.monotonic()
        member.process.send_signal(signal.SIGHUP)
        member.wait_metric('fffa_reloads_total{result="ok"', 1)
        self.assertLess(time.monotonic() - began, 12)
        self.kafka.start()
        lines = [line + "\n" for line in self.written(edge)]
        self.wait("all is delivered", lambda: set(member.lines()) >= set(lines))
        twice = member.metric("fffa_kafka_uncommitted_messages_total")
        self.assertEqual(member.stop(), 0, member.said())
        self.assertEqual(set(member.lines()), set(lines))
        self.assertEqual(len(member.lines()) - len(lines), twice)


class Cluster(WithMembers):
    nodes = 3

    def wait_progress(self, member):
        """All partitions are read, and what was read is committed."""
        before = member.said().count("\n")
        for name in ("moving[0]", "moving[1]", "moving[2]"):
            self.wait(f"{name} goes on", lambda: any(f"committed: {name}" in line for line in member.said().splitlines()[before:]))

    def test_a_leader_who_is_the_coordinator_is_killed(self):
        self.kafka.create_topic("moving", partitions=3, replicas=3, min_insync_replicas=2)
        edge = self.edge("moving", "format: json")
        member = self.member("moving", self.source("moving", QUICK_COMMITS, brokers="', '".join(self.kafka.addresses)))
        with Feeder(edge, flows=20):
            self.wait_progress(member)
            gone = self.kafka.coordinator("moving")
            self.assertIn(gone, {each["leader"] for each in self.kafka.partitions("moving")})
            self.kafka.kill(gone)
            self.wait("other leaders", lambda: all(each["leader"] not in (None, gone) for each in self.kafka.partitions("moving", (gone + 1) % 3)))
            self.wait_progress(member)
        reported = {identity(json.loads(line)) for line in self.written(edge)}
        self.wait("every record is there", lambda: {identity(json.loads(line)) for line in member.lines()} >= reported)
        again = member.metric("fffa_kafka_reread_messages_total")
        self.assertEqual(member.stop(), 0, member.said())
        arrived = collections.Counter(identity(json.loads(line)) for line in member.lines())
        self.assertEqual(set(arrived), reported)
        twice = arrived.total() - len(arrived)
        print(f"[{len(reported)} records, {twice} twice]", end=" ", flush=True)
        self.assertLessEqual(twice, again)


if __name__ == "__main__":
    unittest.main(verbosity=2)
