# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa kafka_source_test.py [CASE...]: `fffa run` with the source kafka and a real broker. Each case starts one of its own.

Edges are the sink kafka fed by a capture; what they put out stands in a file as well, and is what members must come to.
"""
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest
from datetime import datetime

HERE = pathlib.Path(__file__).resolve().parent
SERVICES = HERE.parent / "services"
sys.path[:0] = [str(HERE), str(SERVICES)]
from kafka import free_port  # noqa: E402
from kafka_faults_test import Feeder  # noqa: E402
from kafka_sink_test import Fffa, WithKafka, packet  # noqa: E402

FFFA = os.environ["FFFA"]
ROOT = HERE.parent.parent
QUICK = "reconnect.backoff.max.ms: 500, topic.metadata.refresh.interval.ms: 1000, heartbeat.interval.ms: 500"
CLOCK = 65000  # number of a connection
SHORT_SESSION = "session.timeout.ms: 6000"
FLOW = ("host", "pkt_src_ip", "pkt_dst_ip", "pkt_src_port", "pkt_dst_port", "proto", "direction")


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def totals(lines, interval):
    """(flow, window) -> [packets, bytes] of JSON lines."""
    sums = collections.defaultdict(lambda: [0, 0])
    for line in lines:
        record = json.loads(line)
        key = (*(record[name] for name in FLOW), int(seconds(record["first_seen"]) // interval))
        sums[key][0] += record["packets"]
        sums[key][1] += record["bytes"]
    return dict(sums)


def whole_lines(folder, name):
    """Of the files of a sink, and of the one that it writes to."""
    return [line for file in sorted(folder.glob(f"*{name}*.json*")) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]


class Edge(Fffa):
    """An edge whose connections last: each has one packet there and one back in every second, and so one message each."""

    def feed_again(self, flows, rounds=1):
        for _ in range(rounds):
            self.process.stdin.write(b"".join(packet(i, back, self.at + 0.1 + back * 0.1) for i in range(flows) for back in (False, True)))
            self.at += 1
            self.process.stdin.write(packet(CLOCK, False, self.at))  # ends the second
        self.process.stdin.flush()


class Member(Fffa):
    """`fffa run` with the source kafka."""

    def __init__(self, folder, name, source, rest, settings=""):
        self.folder = folder / name
        self.folder.mkdir(exist_ok=True)
        self.metrics = free_port()
        self.file = self.folder / "pipeline.yaml"
        self.settings, self.rest = settings, rest
        self.write(source)
        self.log = self.folder / "log"
        self.command, self.options = [FFFA, "run", self.file, "--log-level", "debug"], {"stdout": subprocess.PIPE}
        self.start()

    def write(self, source):
        self.file.write_text(f"""
metrics: {{listen: "127.0.0.1:{self.metrics}"}}
{self.settings}
sources:
  in: {{type: kafka, {source}}}
{self.rest}
""")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=log, **self.options)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self, timeout=40):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.process.stdout.close()
        return code

    def lines(self):
        """What the sink `out` (a file) has put out so far, in all runs."""
        return whole_lines(self.folder, "out")

    def owned(self):
        """Partition -> offset that it began from, by the log."""
        found = {}
        for line in self.said().splitlines():
            if "assigned: " in line:
                for name, offset in re.findall(r"(\S+\[\d+\]) (?:from (\d+)|\(nothing)", line):
                    found[name] = int(offset or 0)
        return found


class WithMembers(WithKafka):
    WINDOWS = "aggregators:\n  flows: {{type: flow_cache, inputs: [in], interval: {0}, lateness: {1}}}\n"

    def wait(self, what, there, timeout=60):
        deadline = time.monotonic() + timeout
        while not there():
            if time.monotonic() > deadline:
                self.fail(f"not within {timeout} s: {what}:\n" + "".join(log.read_text()[-3000:] for log in self.folder.glob("*/log")))
            time.sleep(0.05)

    def edge(self, topic, more="format: protobuf"):
        folder = self.folder / f"edge-{topic}"
        folder.mkdir(exist_ok=True)
        edge = Edge(f"brokers: ['{self.kafka.address}'], topic: {topic}, {more}, librdkafka: {{reconnect.backoff.max.ms: 500}}", folder)
        self.addCleanup(edge.kill)
        return edge

    def source(self, topic, more="", properties="", group=None, brokers=None):
        return (f"brokers: ['{brokers or self.kafka.address}'], topics: [{topic}], group: {group or topic}, {more}"
                f" librdkafka: {{{QUICK}{', ' if properties else ''}{properties}}}")

    def member(self, name, source, windows=None, settings="", sink=None):
        rest = self.WINDOWS.format(*windows) if windows else ""
        inputs = "flows" if windows else "in"
        sink = sink or f"type: file, path: {self.folder / name / 'out.json'}"
        member = Member(self.folder, name, source, rest + f"sinks:\n  out: {{inputs: [{inputs}], {sink}}}\n", settings)
        self.addCleanup(member.kill)
        return member

    def written(self, edge):
        """Ends the edge; its lines."""
        self.assertEqual(edge.end(), 0, edge.said())
        return edge.reported()

    def committed(self, group):
        """Partition -> offset, as Kafka knows it."""
        out = self.kafka.java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.kafka.address,
                              "--describe", "--group", group, "--offsets")
        rows = [line.split() for line in out.splitlines() if line.startswith(group + " ")]
        return {f"{row[1]}[{row[2]}]": int(row[3]) for row in rows if row[3] != "-"}

    def wait_shared(self, members, partitions):
        """Each of them has partitions of its own, together all, and reads on."""
        def owned():
            return [member.metric("fffa_kafka_partitions") for member in members]
        self.wait("every member has a part", lambda: all(owned()) and sum(owned()) == partitions)
        before = [member.metric("fffa_kafka_messages_total") for member in members]
        self.wait("every member reads", lambda: all(member.metric("fffa_kafka_messages_total") > n for member, n in zip(members, before)))

    def wait_committed(self, group, messages):
        """All that there is was read, delivered and committed, by whom ever."""
        self.wait(f"{messages} messages are committed", lambda: sum(self.committed(group).values()) >= messages)

    def feed(self, edge, flows, rate=10):
        return Feeder(edge, flows, rate, edge.feed_again)

    def assert_trouble(self, member, text, option):
        """It is said in one line with the option and the source's place, which /healthz has as well."""
        place = f"({member.file}:5:3)"
        member.wait_said(f"see `{option}` {place}")
        self.assertTrue(any(text in line and line.endswith(f"see `{option}` {place}") for line in member.said().splitlines()), member.said())
        self.assertIn(place, member.troubles())

    def assert_same_totals(self, edge_lines, member_lines, interval):
        expected, got = totals(edge_lines, interval), totals(member_lines, interval)
        self.assertEqual({k: v for k, v in got.items() if expected.get(k) != v}, {}, "other totals than the edge's")
        self.assertEqual(set(expected) - set(got), set(), "flows or windows are missing")


class Records(WithMembers):
    def test_straight_to_a_sink_every_record_is_the_edges(self):
        for format in ("json", "protobuf"):
            with self.subTest(format):
                topic = f"straight-{format}"
                self.kafka.create_topic(topic, partitions=4)
                edge = self.edge(topic, f"format: {format}")
                edge.feed_again(200, 3)
                lines = self.written(edge)
                member = self.member(topic, self.source(topic))
                member.wait_metric("fffa_kafka_messages_total", len(lines))
                self.assertEqual(member.stop(), 0, member.said())
                # host, run_id, sequence and timestamp among them
                self.assertEqual(collections.Counter(member.lines()), collections.Counter(line + "\n" for line in lines))
                self.assertEqual(sum(self.committed(topic).values()), len(lines))

    def test_merged_records_are_the_members_own(self):
        self.kafka.create_topic("merged", partitions=2)
        edge = self.edge("merged")
        edge.feed_again(50, 4)
        lines = self.written(edge)
        member = self.member("merged", self.source("merged"), windows=("2s", "1s"))
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        self.assert_same_totals(lines, member.lines(), 2)
        ours, theirs = [json.loads(line) for line in member.lines()], json.loads(lines[0])
        self.assertEqual({r["host"] for r in ours}, {theirs["host"]})
        self.assertEqual(len({r["run_id"] for r in ours} | {theirs["run_id"]}), 2)
        self.assertEqual(len({r["sequence"] for r in ours}), len(ours))

    def test_malformed(self):
        self.kafka.create_topic("odd")
        self.kafka.create_topic("odd-dead")
        edge = self.edge("odd", "format: json")
        edge.feed_again(1)
        lines = self.written(edge)
        good, header = lines[0], "schema=fffa.v3.Flow+json"
        odd = {"cumulative": (good.replace('"cumulative":false', '"cumulative":true'), header), "no_host": (re.sub('"host":"[^"]*"', '"host":null', good), header),
               "too_large": ("x" * 70000, header)}
        messages = [*odd.values(), ("{", header), ("[]", header), ("\x0a\x7f", "schema=fffa.v3.Flow+protobuf"), (good, "schema=fffa.v9.Flow+json"), (good, None)]
        for payload, one in messages:
            file = self.folder / "payload"
            file.write_bytes(payload.encode("latin-1"))
            subprocess.run(["kcat", "-P", "-b", self.kafka.address, "-t", "odd", *(["-H", one] if one else []), file], check=True, capture_output=True, timeout=30)
        passing = self.member("passing", self.source("odd", group="passing", more="commit_interval: 500ms,"))
        dead = self.member("dead", self.source("odd", group="dead", more="dead_letter: odd-dead, commit_interval: 500ms,"))
        for member in (passing, dead):
            member.wait_metric("fffa_kafka_messages_total", len(lines) + len(messages))
        dead.wait_metric("fffa_kafka_dead_letter_messages_total", len(messages))
        for member in (passing, dead):
            by_reason = {reason: member.metric(f'fffa_kafka_malformed_messages_total{{reason="{reason}"') for reason in
                         ("too_large", "schema", "syntax", "no_host", "cumulative")}
            self.assertEqual(by_reason, {"too_large": 1, "schema": 2, "syntax": 3, "no_host": 1, "cumulative": 1})
            self.assertEqual(member.said().count("that are no records"), 1)
            self.assertEqual(member.stop(), 0, member.said())
            self.assertEqual(len(member.lines()), len(lines))
        for group in ("passing", "dead"):
            self.assertEqual(self.committed(group), {"odd[0]": len(lines) + len(messages)})
        letters = self.kafka.messages("odd-dead")
        self.assertEqual(len(letters), len(messages))
        self.assertEqual({m["headers"]["topic"] for m in letters}, {"odd"})
        self.assertIn(odd["cumulative"][0], [m["payload"] for m in letters])
        self.assertEqual(sorted(int(m["headers"]["offset"]) for m in letters), list(range(len(lines), len(lines) + len(messages))))
        self.assertIn("cumulative: ", {m["headers"]["error"][:12] for m in letters})

    def test_nothing_is_committed_past_a_dead_letter_that_does_not_arrive(self):
        self.kafka.create_topic("stuck")
        edge = self.edge("stuck", "format: json")
        edge.feed_again(1)
        lines = self.written(edge)
        (self.folder / "payload").write_text("{")
        subprocess.run(["kcat", "-P", "-b", self.kafka.address, "-t", "stuck", "-H", "schema=fffa.v3.Flow+json", self.folder / "payload"], check=True,
                       capture_output=True, timeout=30)
        member = self.member("stuck", self.source("stuck", more="dead_letter: stuck-dead, commit_interval: 500ms,",
                                                  properties="topic.metadata.propagation.max.ms: 500"))
        member.wait_said("send dead letters to Kafka: ")
        self.assertIn("stuck-dead", member.get("/healthz"))
        time.sleep(1)
        self.assertEqual(self.committed("stuck"), {"stuck[0]": len(lines)})
        self.kafka.create_topic("stuck-dead")
        member.wait_metric("fffa_kafka_dead_letter_messages_total", 1)
        member.wait_said("dead letters: it works again")
        self.assertEqual(member.stop(), 0, member.said())
        self.assertEqual(self.committed("stuck"), {"stuck[0]": len(lines) + 1})


class Guarantee(WithMembers):
    def test_nothing_is_committed_before_it_is_delivered(self):
        self.kafka.create_topic("early", partitions=2)
        edge = self.edge("early")
        edge.feed_again(200, 5)
        lines = self.written(edge)
        source = self.source("early", more="commit_interval: 200ms,", properties=SHORT_SESSION)
        member = self.member("early", source, windows=("1h", "60s"))
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        time.sleep(1)
        self.assertEqual(self.committed("early"), {"early[0]": 0, "early[1]": 0})
        member.kill()
        self.assertEqual(member.lines(), [])
        member.start()
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        self.assert_same_totals(lines, member.lines(), 3600)
        self.assertEqual(sum(self.committed("early").values()), len(lines))

    def test_stopped_and_started_again_on_the_way(self):
        self.kafka.create_topic("stopped", partitions=3)
        edge = self.edge("stopped")
        source = self.source("stopped")
        member = self.member("stopped", source, windows=("2s", "1s"))
        with self.feed(edge, 100):
            for _ in range(2):
                member.wait_metric("fffa_kafka_messages_total", 500)
                self.assertEqual(member.stop(), 0, member.said())
                member.start()
            member.wait_metric("fffa_kafka_messages_total", 500)
        lines = self.written(edge)
        self.wait_committed("stopped", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        self.assert_same_totals(lines, member.lines(), 2)

    def test_reload(self):
        self.kafka.create_topic("reloaded", partitions=3)
        edge = self.edge("reloaded", "format: json")
        member = self.member("reloaded", self.source("reloaded", more="commit_interval: 5s,"))
        with self.feed(edge, 100):
            for number in (1, 2):
                member.wait_metric("fffa_kafka_messages_total", member.metric("fffa_kafka_messages_total") + 500)
                member.write(self.source("reloaded", more=f"commit_interval: {5 + number}s,"))
                member.process.send_signal(signal.SIGHUP)
                member.wait_metric('fffa_reloads_total{result="ok"', number)
        lines = self.written(edge)
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        # It waits for what is acknowledged soon, and here that is everything.
        self.assertEqual(collections.Counter(member.lines()), collections.Counter(line + "\n" for line in lines))
        self.assertEqual(sum(self.committed("reloaded").values()), len(lines))

    def test_reload_with_windows_open(self):
        self.kafka.create_topic("open", partitions=1)
        edge = self.edge("open")
        member = self.member("open", self.source("open"), windows=("1h", "60s"))
        edge.feed_again(100, 3)
        lines = self.written(edge)
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        member.write(self.source("open", more="commit_interval: 9s,"))
        member.process.send_signal(signal.SIGHUP)
        member.wait_metric("fffa_kafka_messages_total", 2 * len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        for said in ("gave up 1 partitions: read and not committed, so that the next owner reads it again: open[0] from 0 to {0}",
                     "re-reads what is known to have been read and not committed: open[0] from 0 to {0}: {0} messages"):
            self.assertIn(said.format(len(lines)), member.said())
        expected, got = totals(lines, 3600), totals(member.lines(), 3600)
        self.assertEqual(got, {key: [2 * packets, 2 * size] for key, (packets, size) in expected.items()})

    def test_back_pressure(self):
        self.kafka.create_topic("slow", partitions=2)
        edge = self.edge("slow", "format: json")
        for _ in range(20):
            edge.feed_again(1000)
        lines = self.written(edge)
        source = self.source("slow", properties="session.timeout.ms: 6000, max.poll.interval.ms: 6000, queued.max.messages.kbytes: 4096")
        member = self.member("slow", source, sink="type: stdout, format: json, queue: 2000")  # nobody reads
        member.wait_metric("fffa_kafka_messages_total", 2000)
        time.sleep(2)
        held = member.metric("fffa_kafka_messages_total")
        self.assertLess(held, 10000)
        time.sleep(9)  # longer than the group is patient
        self.assertEqual(member.metric("fffa_kafka_messages_total"), held)
        resident = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{member.process.pid}/status").read_text())[1])
        self.assertLess(resident, 150_000)
        self.assertEqual(member.metric("fffa_kafka_assigned_partitions_total"), 2, member.said())
        got = [member.process.stdout.readline().decode() for _ in lines]
        self.assertEqual(collections.Counter(got), collections.Counter(line + "\n" for line in lines))
        self.assertEqual(member.metric("fffa_kafka_assigned_partitions_total"), 2)
        self.assertEqual(member.stop(), 0, member.said())

    def test_members_come_and_go(self):
        self.kafka.create_topic("shared", partitions=6)
        edge = self.edge("shared", "format: json")
        members = []
        with self.feed(edge, 50):
            for i in range(3):
                members.append(self.member(f"m{i}", self.source("shared")))
                self.wait_shared(members, 6)
            self.assertEqual(members[0].stop(), 0, members[0].said())
            self.wait_shared(members[1:], 6)
        lines = self.written(edge)
        self.wait("all records", lambda: sum(len(member.lines()) for member in members) >= len(lines))
        for member in members[1:]:
            self.assertEqual(member.stop(), 0, member.said())
        reported = collections.Counter(line + "\n" for line in lines)
        arrived = collections.Counter(line for member in members for line in member.lines())
        self.assertEqual(reported - arrived, collections.Counter(), "records are missing")
        self.assertEqual(arrived - reported, collections.Counter(), "records are there twice")
        self.assertTrue(all(member.lines() for member in members))

    def test_a_member_that_stood_still_commits_nothing_of_what_is_anothers(self):
        self.kafka.create_topic("still", partitions=4)
        edge = self.edge("still", "format: json")
        members = [self.member(name, self.source("still", more="commit_interval: 1s,", properties=SHORT_SESSION)) for name in ("still", "going")]
        still, going = members
        with self.feed(edge, 20):
            self.wait_shared(members, 4)
            still.process.send_signal(signal.SIGSTOP)
            self.addCleanup(still.process.send_signal, signal.SIGCONT)
            going.wait_metric("fffa_kafka_partitions", 4)  # its session is over
            self.wait_shared([going], 4)
        committed = self.committed("still")
        still.process.send_signal(signal.SIGCONT)
        lines = self.written(edge)
        self.wait_committed("still", len(lines))
        self.assertTrue(all(offset >= committed.get(name, 0) for name, offset in self.committed("still").items()))
        for member in members:
            self.assertEqual(member.stop(), 0, member.said())
        # As both say when they give partitions up: the group's changes may take some from the other one, too.
        given_up = "".join(line for member in members for line in member.said().splitlines() if "gave up" in line)
        again = sum(int(end) - int(begin) for begin, end in re.findall(r"\[\d+\] from (\d+) to (\d+)", given_up))
        reported = collections.Counter(line + "\n" for line in lines)
        arrived = collections.Counter(line for member in members for line in member.lines())
        self.assertEqual(reported - arrived, collections.Counter(), "records are missing")
        self.assertLessEqual((arrived - reported).total(), again, still.said()[-3000:] + going.said()[-3000:])

    def test_eager_rebalance(self):
        self.kafka.create_topic("eager", partitions=6)
        edge = self.edge("eager", "format: json")
        source = self.source("eager", properties="partition.assignment.strategy: range")
        members = []
        with self.feed(edge, 50):
            for name in ("e0", "e1"):
                members.append(self.member(name, source))
                self.wait_shared(members, 6)
        lines = self.written(edge)
        self.wait("all records", lambda: sum(len(member.lines()) for member in members) >= len(lines))
        for member in members:
            self.assertEqual(member.stop(), 0, member.said())
        arrived = collections.Counter(line for member in members for line in member.lines())
        self.assertEqual(arrived, collections.Counter(line + "\n" for line in lines))

    def test_messages_deleted_before_they_were_read_are_counted(self):
        self.kafka.create_topic("short")
        edge = self.edge("short", "format: json")
        edge.feed_again(10)
        member = self.member("short", self.source("short"))
        member.wait_metric("fffa_kafka_messages_total", 10)
        self.assertEqual(member.stop(), 0, member.said())
        read = self.committed("short")["short[0]"]
        edge.feed_again(10, 2)
        lines = self.written(edge)
        (self.folder / "delete.json").write_text(json.dumps({"partitions": [{"topic": "short", "partition": 0, "offset": read + 7}], "version": 1}))
        self.kafka.java("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", self.kafka.address, "--offset-json-file",
                        self.folder / "delete.json")
        member.start()
        member.wait_said(f"short[0] goes on at {read + 7}: the messages from {read} on were deleted")
        member.wait_metric("fffa_kafka_messages_total", len(lines) - read - 7)
        self.assertEqual(member.metric("fffa_kafka_skipped_offsets_total"), 7)
        self.assertEqual(member.stop(), 0, member.said())


class Faults(WithMembers):
    def test_away_at_start_and_on_the_way(self):
        self.kafka.create_topic("bumpy", partitions=3)
        edge = self.edge("bumpy")
        edge.feed_again(100, 5)
        edge.wait_metric('fffa_stage_sent_records_total{stage="out"', 500)
        self.kafka.kill()
        member = self.member("bumpy", self.source("bumpy"), windows=("2s", "1s"))
        self.assert_trouble(member, "Connection refused", "librdkafka")
        self.kafka.start()
        member.wait_metric("fffa_kafka_messages_total", 500)
        member.wait_said("connection: it works again")
        self.assertIn('"degraded":[]', member.get("/healthz"))
        self.kafka.kill()
        edge.feed_again(100, 5)
        time.sleep(3)
        self.kafka.start()
        edge.feed_again(100, 5)
        lines = self.written(edge)
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        member.wait_metric("fffa_kafka_partitions", 3)
        self.assertEqual(member.stop(), 0, member.said())
        self.assert_same_totals(lines, member.lines(), 2)

    def test_away_for_longer_than_the_session(self):
        self.kafka.create_topic("long", partitions=3)
        edge = self.edge("long")
        member = self.member("long", self.source("long", properties=SHORT_SESSION), windows=("1h", "60s"))
        edge.feed_again(100, 5)
        member.wait_metric("fffa_kafka_messages_total", 1000)
        self.kafka.kill()
        time.sleep(8)
        self.kafka.start()
        edge.feed_again(100, 5)
        lines = self.written(edge)
        member.wait_metric("fffa_kafka_assigned_partitions_total", 6)
        self.wait("all messages", lambda: member.metric("fffa_kafka_messages_total") - member.metric("fffa_kafka_reread_messages_total") >= len(lines))
        again = member.metric("fffa_kafka_reread_messages_total")
        self.assertEqual(member.stop(), 0, member.said())
        expected, got = totals(lines, 3600), totals(member.lines(), 3600)
        self.assertEqual({key: value for key, value in expected.items() if got[key] < value}, {}, "totals below the edge's")
        self.assertEqual(sum(p for p, _ in got.values()), sum(p for p, _ in expected.values()) + again)

    def test_stopped_while_the_brokers_are_away(self):
        self.kafka.create_topic("gone")
        edge = self.edge("gone")
        edge.feed_again(10, 2)
        lines = self.written(edge)
        member = self.member("gone", self.source("gone"), windows=("1h", "60s"), settings="shutdown_timeout: 10s")
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.kafka.kill()
        member.wait_said("read from Kafka: ")
        began = time.monotonic()
        self.assertEqual(member.stop(), 0, member.said())
        self.assertLess(time.monotonic() - began, 10)
        self.kafka.start()

    def test_stopped_while_the_broker_hangs(self):
        self.kafka.create_topic("hung", partitions=3)
        edge = self.edge("hung")
        edge.feed_again(10, 2)
        lines = self.written(edge)
        self.addCleanup(self.kafka.resume)
        for name, interval in (("uncommitted", "60s"), ("committed", "100ms")):
            with self.subTest(name):
                self.kafka.resume()
                member = self.member(name, self.source("hung", group=name, more=f"commit_interval: {interval},"))
                member.wait_metric("fffa_kafka_messages_total", len(lines))
                if name == "committed":
                    self.wait_committed(name, len(lines))
                self.kafka.pause()
                began = time.monotonic()
                self.assertEqual(member.stop(), 0, member.said())
                self.assertLess(time.monotonic() - began, 20)

    def test_stopped_after_its_topic_was_deleted(self):
        self.kafka.create_topic("gone", partitions=2)
        edge = self.edge("gone")
        edge.feed_again(10)
        member = self.member("gone", self.source("gone", "commit_interval: 500ms,"))
        member.wait_metric("fffa_kafka_messages_total", len(self.written(edge)))
        self.kafka.delete_topic("gone")
        member.wait_said("nknown topic")
        time.sleep(3)  # librdkafka looks for it again and again
        began = time.monotonic()
        self.assertEqual(member.stop(), 0, member.said())
        self.assertLess(time.monotonic() - began, 20)

    def test_topic_is_missing(self):
        member = self.member("late", self.source("late"))
        self.assert_trouble(member, "nknown topic", "topics")
        self.assertIn("late", member.get("/healthz"))
        self.kafka.create_topic("late")
        edge = self.edge("late")
        edge.feed_again(10)
        lines = self.written(edge)
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.assertIn('"degraded":[]', member.get("/healthz"))
        self.assertEqual(member.stop(), 0, member.said())

    def test_no_kafka_there(self):
        member = self.member("nobody", self.source("x", brokers=f"127.0.0.1:{free_port()}"), settings="shutdown_timeout: 5s")
        member.wait_said("Connection refused: tried again")
        self.assertEqual(member.stop(), 0, member.said())


class Secure(WithMembers):
    def secure(self, topic, password):
        file = self.folder / "password"
        file.write_text(password + "\n")
        return self.source(topic, more="commit_interval: 500ms,", brokers=self.kafka.secure_address, properties=(
            "security.protocol: SASL_SSL, sasl.mechanisms: PLAIN, sasl.username: fffa, "
            f"sasl.password: '${{file:{file}}}', ssl.ca.location: {self.kafka.ca}"))

    def test_permissions_come_one_by_one(self):
        self.kafka.create_topic("closed")
        edge = self.edge("closed")
        edge.feed_again(10)
        lines = self.written(edge)
        member = self.member("closed", self.secure("closed", self.kafka.password))
        member.wait_said("uthorization failed")
        self.assertIn('"degraded":[{', member.get("/healthz"))
        self.kafka.allow_reading(topic="closed")
        self.assert_trouble(member, "join the group `closed`: ", "group")
        self.kafka.allow_reading(group="closed")
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        self.assertEqual(self.committed("closed"), {"closed[0]": len(lines)})
        self.assertNotIn(self.kafka.password, member.said())

    def test_wrong_password(self):
        member = self.member("wrong", self.secure("wrong", "hunter2-wrong"))
        self.assert_trouble(member, "uthentication failed", "librdkafka")
        self.assertNotIn("hunter2-wrong", member.said() + member.get("/healthz") + member.get("/metrics"))
        self.assertEqual(member.stop(), 0, member.said())

    def test_plaintext_to_a_tls_port_and_the_other_way_round(self):
        member = self.member("plain", self.source("x", brokers=self.kafka.secure_address))
        member.wait_said("read from Kafka: ")
        self.assertEqual(member.stop(), 0, member.said())
        other = self.member("tls", self.secure("x", "x").replace(self.kafka.secure_address, self.kafka.address))
        other.wait_said("SSL handshake failed")
        self.assertEqual(other.stop(), 0, other.said())


if __name__ == "__main__":
    unittest.main(verbosity=2)
