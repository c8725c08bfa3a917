# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa kafka_s3_test.py [CASE...]: pipelines/edge-to-kafka.yaml and kafka-to-s3.yaml as they are, with a real broker and, as the bucket, a real MinIO."""
import collections
import gzip
import json
import os
import re
import subprocess
import sys
import unittest
import zlib

from kafka_source_test import FFFA, QUICK, ROOT, SERVICES, SHORT_SESSION, Edge, Member, WithMembers, seconds, whole_lines
from kafka_sink_test import START, free_port

sys.path.insert(0, str(SERVICES / "s3"))
from servers import PASSWORD, USER, Minio  # noqa: E402

PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPv6": 58}


def key_of(record):
    """(flow, minute), as the sum of a flow log has it."""
    proto = PROTOCOLS.get(record["proto"]) or int(record["proto"].removeprefix("PROTO_"))
    ports = (str(record["pkt_src_port"]), str(record["pkt_dst_port"])) if proto not in (1, 58) else ("0", "0")
    return (record["pkt_src_ip"], record["pkt_dst_ip"], *ports, proto, int(seconds(record["first_seen"]) // 60))


def sums(pairs):
    """(flow, minute) -> [packets, bytes] of (key, packets, bytes)."""
    added = collections.defaultdict(lambda: [0, 0])
    for key, packets, size in pairs:
        if packets:
            added[key][0] += packets
            added[key][1] += size
    return dict(added)


def of_records(records):
    return sums((key_of(record), record["packets"], record["bytes"]) for record in records)


def of_flow_logs(texts):
    lines = (line.split() for text in texts for line in text.splitlines()[1:])
    return sums(((*f[3:7], int(f[7]), int(f[10]) // 60), int(f[8]), int(f[9])) for f in lines)


class EdgeOn(Edge):
    """On a host of that name."""

    def __init__(self, host, *rest):
        self.command = ("unshare", "--uts", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c", f'hostname {host} && exec "$@"', "sh", FFFA)
        super().__init__(*rest)


class ToS3(Member):
    """`fffa run kafka-to-s3.yaml` with a staging directory of its own."""

    def __init__(self, folder, name, topic, brokers, bucket=None, more="", properties="", sinks=""):
        self.folder = folder / name
        self.folder.mkdir()
        self.staging = self.folder / "flowlogs"
        self.metrics, self.log = free_port(), self.folder / "log"
        overlay = self.folder / "overlay.yaml"
        overlay.write_text(f"sources: {{hosts: {{topics: [{topic}], group: {topic}, {more} librdkafka: {{{QUICK}{properties}}}}}}}\n" + ("sinks:\n" + sinks if sinks else ""))
        self.command = [FFFA, "run", "kafka-to-s3.yaml", overlay, "--log-level", "debug", "--set", f"metrics.listen=127.0.0.1:{self.metrics}"]
        environment = {**os.environ, "KAFKA_BROKERS": brokers, "AWS_EC2_METADATA_DISABLED": "true"}
        if bucket:
            self.command += ["env/s3.yaml", "--set", f"sinks.logs.endpoint={bucket.url}"]
            environment |= {"FFFA_BUCKET": "flow-logs", "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_REGION": "us-east-1"}
        self.command += ["--set", f"sinks.logs.directory={self.staging}"]
        self.options = {"stdout": subprocess.PIPE, "cwd": ROOT / "pipelines", "env": environment}
        self.start()

    def unsealed(self):
        """What is in the file that it writes to, as far as it was synced."""
        return of_flow_logs(zlib.decompressobj(31).decompress(part.read_bytes()).decode() for part in self.staging.rglob(".*.part"))


class Bucket(Minio):
    """`flow-logs`."""

    def __init__(self, folder):
        os.environ["S3_TEST_MINIO"] = subprocess.run([SERVICES / "fetch", "minio"], check=True, capture_output=True, text=True).stdout.strip()
        super().__init__(folder)

    def curl(self, path, *more):
        return subprocess.run(["curl", "-sS", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{USER}:{PASSWORD}", *more, f"{self.url}/flow-logs{path}"],
                              capture_output=True, timeout=30)

    def ask(self, path):
        done = self.curl(path)
        done.check_returncode()
        return done.stdout

    def files(self):
        keys = re.findall(r"<Key>([^<]*)</Key>", self.ask("?list-type=2").decode())
        return [gzip.decompress(self.ask("/" + key)).decode() for key in keys]


class WithPipelines(WithMembers):
    def bucket(self):
        bucket = Bucket(self.folder)
        self.addCleanup(bucket.stop)
        bucket.start()
        # For a moment after it is ready MinIO answers 503, with `Retry-After: 60`, which curl's --retry would obey.
        self.wait("a bucket", lambda: bucket.curl("", "-X", "PUT").returncode == 0)
        return bucket

    def to_s3(self, name, topic, bucket=None, **more):
        member = ToS3(self.folder, name, topic, self.kafka.address, bucket, **more)
        self.addCleanup(member.kill)
        return member

    def assert_same_sums(self, expected, files):
        got = of_flow_logs(files)
        self.assertEqual({k: v for k, v in got.items() if expected.get(k) != v}, {})
        self.assertEqual(set(expected) - set(got), set())


class Pipelines(WithPipelines):
    """Both, over real captures."""

    CAPTURES = ("mixed_protocols", "tcp_ssh_many_flows", "ip6_ftp_flows", "geneve_gwlb_derived")

    def run_edge(self, capture, topic, format):
        lines, overlay = self.folder / f"{topic}-{capture}.json", self.folder / "edge.yaml"
        overlay.write_text(f"""
sources:
  capture: {{type: pcap, path: {ROOT}/tests/corpus/captures/{capture}.pcap, drain_interval: 1s}}
enrichers:
  host: {{type: static, inputs: [capture]}}
sinks:
  copy: {{type: file, inputs: [flows], path: {lines}}}
  edge: {{topic: {topic}, format: {format}}}
""")
        done = subprocess.run([FFFA, "run", "edge-to-kafka.yaml", overlay, "--set", "metrics.listen=''"], cwd=ROOT / "pipelines", timeout=60,
                              env={**os.environ, "KAFKA_BROKERS": self.kafka.address}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return lines.read_text().splitlines()

    def merge(self, topic, format, bucket=None):
        """The captures through edges and one member; what its flow logs must say, and where it staged them."""
        self.kafka.create_topic(topic, partitions=3)
        records = [json.loads(line) for capture in self.CAPTURES for line in self.run_edge(capture, topic, format)]
        member = self.to_s3(topic, topic, bucket)
        member.wait_metric("fffa_kafka_messages_total", len(records))
        self.assertEqual(member.stop(), 0, member.said())
        expected = of_records(records)
        self.assertGreater(len(expected), 500)
        return expected, list(member.staging.rglob("*.log.gz"))

    def test_totals_of_captures(self):
        for format in ("protobuf", "json"):
            with self.subTest(format):
                expected, files = self.merge(f"by-{format}", format)
                self.assert_same_sums(expected, [gzip.decompress(file.read_bytes()).decode() for file in files])

    def test_two_hosts_with_the_same_flows(self):
        self.kafka.create_topic("hosts", partitions=3)
        lines = []
        for host in ("edge-a", "edge-b"):
            folder = self.folder / host
            folder.mkdir()
            edge = EdgeOn(host, f"brokers: ['{self.kafka.address}'], topic: hosts, format: protobuf", folder)
            self.addCleanup(edge.kill)
            edge.feed_again(100, 3)
            lines += self.written(edge)
        sinks = "".join(f"  {name}: {{type: file, inputs: [{stage}], path: {self.folder}/hosts/{name}.json}}\n" for name, stage in (("read", "hosts"), ("merged", "flows")))
        member = self.to_s3("hosts", "hosts", sinks=sinks)
        member.wait_metric("fffa_kafka_messages_total", len(lines))
        self.assertEqual(member.stop(), 0, member.said())
        # Every record is the edges', flows stay apart by host, and what flow logs say, without a host, adds up.
        self.assertEqual(collections.Counter(whole_lines(member.folder, "read")), collections.Counter(line + "\n" for line in lines))
        merged = whole_lines(member.folder, "merged")
        self.assertEqual({json.loads(line)["host"] for line in merged}, {"edge-a", "edge-b"})
        self.assert_same_totals(lines, merged, 60)
        self.assert_same_sums(of_records(map(json.loads, lines)), [gzip.decompress(file.read_bytes()).decode() for file in member.staging.rglob("*.log.gz")])

    def test_into_a_bucket(self):
        bucket = self.bucket()
        expected, left = self.merge("to-bucket", "protobuf", bucket)
        self.assertEqual(left, [])  # all uploaded
        self.assert_same_sums(expected, bucket.files())


class TwoMembers(WithPipelines):
    """Both with the same bucket, and each with a staging directory of its own. Time is that of the packets: a window of a minute closes as soon as later ones come."""

    FLOWS, PARTITIONS = 100, 4

    def start(self, topic):
        self.kafka.create_topic(topic, partitions=self.PARTITIONS)
        self.topic, self.store, self.feeder, self.rounds = topic, self.bucket(), self.edge(topic), 0
        self.members = [self.to_s3(name, topic, self.store, more="commit_interval: 6s,", properties=f", {SHORT_SESSION}") for name in ("one", "two")]
        self.wait("two partitions each", lambda: all(member.metric("fffa_kafka_partitions") == 2 for member in self.members))
        return self.members

    def feed(self, at, rounds=2):
        """So many messages there are now: the packet that ends a round is told with the next one."""
        self.feeder.at = at
        self.feeder.feed_again(self.FLOWS, rounds)
        self.rounds += rounds
        return self.rounds * (2 * self.FLOWS + 1) - 1

    def reported(self):
        return [json.loads(line) for line in whole_lines(self.feeder.folder, "flows")]

    def records(self):
        """What the edge has reported so far, with `partition` and `offset`."""
        by_sequence = {int(record["sequence"]): record for record in self.reported()}
        raw = subprocess.run(["kcat", "-C", "-b", self.kafka.address, "-t", self.topic, "-o", "beginning", "-e", "-q", "-f", "%p %o %h\n"],
                             check=True, capture_output=True, text=True, timeout=60).stdout
        found = []
        for line in raw.splitlines():
            partition, offset, headers = line.split(" ", 2)
            where = {"partition": f"{self.topic}[{partition}]", "offset": int(offset)}
            found.append(by_sequence[int(re.search(r"sequence=(\d+)", headers)[1])] | where)
        return found

    def read(self):
        return sum(member.metric("fffa_kafka_messages_total") for member in self.members)

    def told(self, member):
        """Partition -> what it committed last: the offset, and up to where it was read."""
        lines = re.findall(r"committed: (\S+) (\d+), read to (\d+)", member.said())
        return {name: (int(offset), int(reached)) for name, offset, reached in lines}

    def minute(self, record):
        return (seconds(record["first_seen"]) - START) // 60

    def test_without_a_kill(self):
        one, two = self.start("calm")
        for at in (58, 178, 250, 310):
            self.feed(at)
        lines = self.written(self.feeder)
        self.wait("all read", lambda: self.read() == len(lines))
        for member in (one, two):
            self.assertEqual(member.stop(), 0, member.said())
            self.assertNotIn("re-reads", member.said())
        self.assert_same_sums(of_records(map(json.loads, lines)), self.store.files())

    def test_one_is_killed_in_the_middle_of_a_window(self):
        one, two = self.start("killed")
        # Minute 0 is written, and committed; minute 2 is read, and open, and so is 1, of one packet.
        before = self.feed_and_wait(58, lambda read: (0, read))  # what is read together is acknowledged together
        known = self.feed_and_wait(178, lambda read: (before, read))
        committed = self.told(one)
        self.feed(250, 1)  # closes minute 2; minute 4 is open
        self.wait("minute 2 is written", lambda: sum(packets for packets, _ in one.unsealed().values()) == known)  # a record has one
        one.kill()
        self.assertEqual(self.told(one), committed, "it was committed before the member was killed")
        staged = one.unsealed()
        self.feed(310)
        lines = self.written(self.feeder)
        # The other one reads again what was not committed, and says so.
        all_of_them = self.records()
        again = [r for r in all_of_them if r["partition"] in committed and r["offset"] >= committed[r["partition"]][0]]
        replayed = [r for r in again if r["offset"] < committed[r["partition"]][1]]
        self.assertEqual(len(replayed), known - before)
        two.wait_metric("fffa_kafka_messages_total", len(again) + sum(r["partition"] not in committed for r in all_of_them))
        self.assertEqual(two.metric("fffa_kafka_reread_messages_total"), len(replayed))
        self.assertEqual(two.stop(), 0, two.said())
        said = re.findall(r"re-reads what is known to have been read and not committed: (.*): (\d+) messages, whose records may come twice", two.said())
        self.assertEqual([int(count) for _, count in said], [len(replayed)])
        self.assertEqual({(name, int(begin), int(end)) for name, begin, end in re.findall(r"(\S+) from (\d+) to (\d+)", said[0][0])},
                         {(name, *offsets) for name, offsets in committed.items()})
        # Minute 0 of the dead one was committed, and is in its staging directory: it is missing until that is started again.
        expected = of_records(map(json.loads, lines))
        minute_0 = of_records(r for r in all_of_them if r["partition"] in committed and self.minute(r) == 0)
        self.assertEqual(self.difference(expected), {key: [-n for n in value] for key, value in minute_0.items()})
        one.start()
        one.wait_metric('fffa_s3_uploads_total{outcome="stored"', 1)
        one.wait_metric("fffa_kafka_partitions", self.PARTITIONS)  # librdkafka 2.0 may abort when it is stopped while it joins
        self.assertEqual(one.stop(), 0, one.said())
        # Now nothing is, and what is there twice is what was read again.
        twice = self.difference(expected)
        self.assertEqual(twice, of_records(replayed))
        self.assertEqual(staged, minute_0 | of_records(replayed))
        print(f"\n  {sum(n for n, _ in twice.values())} packets twice of {sum(n for n, _ in expected.values())}, {len(replayed)} messages", file=sys.stderr)

    def feed_and_wait(self, at, told):
        """Until both members have read it, and the first one has told Kafka what `told` says of the number that it has read; that number."""
        one, total = self.members[0], self.feed(at)
        self.wait("all read", lambda: self.read() == total)
        read = one.metric("fffa_kafka_messages_total")
        self.wait("committed", lambda: tuple(map(sum, zip(*self.told(one).values()))) == told(read))
        return read

    def difference(self, expected):
        """Of what is in the bucket from what the edge saw."""
        got = of_flow_logs(self.store.files())
        self.assertEqual(set(got) - set(expected), set())
        more = {key: [got.get(key, (0, 0))[i] - value[i] for i in (0, 1)] for key, value in expected.items()}
        return {key: value for key, value in more.items() if value != [0, 0]}


if __name__ == "__main__":
    unittest.main(verbosity=2)
