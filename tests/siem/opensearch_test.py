# SPDX-License-Identifier: MIT
"""FFFA=.../bin/fffa opensearch_test.py [CASE...]: what docs/siem.md says, done with a real OpenSearch: its commands, its index templates, and records of real packets.
As root: the firewall's fields come from a namespace with rules of its own."""
import contextlib
import datetime
import ipaddress
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/services"))
from opensearch import OpenSearch  # noqa: E402

FFFA = os.environ["FFFA"]
PAGE = (ROOT / "docs/siem.md").read_text()
CAPTURES = ["ecn_ce_derived.pcap", "geneve_gwlb_real.pcap", "geneve_outer6_gso.pcap", "ip6_ftp_flows.pcap", "link_many_interfaces.pcapng",
            "mixed_services.pcap", "tcp_reassembly_gaps.pcap", "vlan_qinq.pcap"]
# Labels as people write them: a name's value may look like a date in one record and not in the next.
LABELS = [{"built": "2026-01-01", "rack": "1234", "note": "true"}, {"built": "unknown", "rack": "b12", "note": "it's"}]
RULES = """
table ip nat {
  chain pre {
    type nat hook prerouting priority dstnat
    tcp dport 8080 redirect to :8081
  }
}
table inet filter {
  chain input {
    type filter hook input priority filter
    udp dport 9 drop
    tcp dport 25 reject with tcp reset
    tcp dport 8081 accept
  }
}
"""
SERVE = "import socket; s = socket.create_server(('10.9.0.1', 8081)); print(flush=True); c, _ = s.accept(); c.sendall(bytes(100_000)); c.close()"
TALK = """
import contextlib, socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in (9, 9, 10):
    udp.sendto(b'x' * 100, ('10.9.0.1', port))
with contextlib.suppress(ConnectionError):
    socket.create_connection(('10.9.0.1', 25), 5)
with socket.create_connection(('10.9.0.1', 8080), 5) as c:
    while c.recv(65536): pass
"""


def run(*command, **more):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def pipeline(folder, name, source, labels):
    """A pipeline whose records are written as both formats."""
    sinks = "".join(f"  {kind}: {{type: file, inputs: [flows], format: {kind}, path: {folder}/{name}.{kind}}}\n" for kind in ("json", "ecs"))
    identity = ("aws_account: '123456789012', aws_vpc: vpc-1, aws_subnet: subnet-1, aws_instance: i-1, aws_az: eu-west-1a, aws_az_id: euw1-az1, "
                "aws_region: eu-west-1, aws_eni: eni-1")
    file = folder / f"{name}.yaml"
    file.write_text(f"""
metrics: {{listen: ""}}
sources:
  packets: {{{source}}}
enrichers:
  host: {{type: static, inputs: [packets], {identity}, labels: {json.dumps(labels)}}}
aggregators:
  flows: {{type: flow_cache, inputs: [host], interval: 10s}}
sinks:
{sinks}""")
    return file


@contextlib.contextmanager
def two_hosts():
    """Namespaces, joined by a link: 10.9.0.1 with the firewall, and 10.9.0.2."""
    names = [f"fffa-siem-{os.getpid()}-{i}" for i in (1, 2)]
    try:
        for name in names:
            run("ip", "netns", "add", name)
        run("ip", "-n", names[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", names[1])
        for i, name in enumerate(names, 1):
            run("ip", "-n", name, "address", "add", f"10.9.0.{i}/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "netns", "exec", names[0], "nft", "-f", "-", input=RULES)
        yield [("ip", "netns", "exec", name) for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def live_records(folder):
    """fffa at a firewall that translates, refuses and drops."""
    with two_hosts() as (firewall, client):
        file = pipeline(folder, "live", "type: ebpf, interfaces: [eth0], drain_interval: 1s", LABELS[0])
        with open(folder / "live.log", "wb") as log:
            fffa = subprocess.Popen([*firewall, FFFA, "run", file], stderr=log)
        server = subprocess.Popen([*firewall, "python3", "-c", SERVE], stdout=subprocess.PIPE)
        try:
            server.stdout.readline()
            deadline = time.monotonic() + 30
            while "capturing on eth0" not in (folder / "live.log").read_text():
                if fffa.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((folder / "live.log").read_text())
                time.sleep(0.1)
            run(*client, "ping", "-c", "2", "-i", "0.2", "10.9.0.1")
            run(*client, "python3", "-c", TALK)
            time.sleep(0.5)  # which rule decided comes a moment later
            fffa.terminate()
            if fffa.wait(30) != 0:
                raise AssertionError((folder / "live.log").read_text())
        finally:
            for process in (fffa, server):
                process.kill()
                process.wait()
            server.stdout.close()


def leaves(node, path=""):
    """{"source.ip": value}; a value that is null is not there."""
    found = {}
    for name, value in node.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            found |= leaves(value, here)
        elif value is not None:
            found[here] = value
    return found


def mapped(properties, path=""):
    """{"source.ip": "ip"}"""
    found = {}
    for name, mapping in properties.items():
        here = f"{path}.{name}" if path else name
        found |= mapped(mapping["properties"], here) if "properties" in mapping else {here: mapping["type"]}
    return found


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class OnThePage(unittest.TestCase):
    """The page's way for each format: template, loading by hand, and what a user asks then."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        live_records(cls.folder)
        for i, capture in enumerate(CAPTURES):
            file = pipeline(cls.folder, f"capture{i}", f"type: pcap, path: {ROOT}/tests/corpus/captures/{capture}", LABELS[i % 2])
            run(FFFA, "run", file)
        cls.node = OpenSearch()
        cls.addClassCleanup(cls.node.close)

    def on_page(self, pattern):
        """The page's one command of this shape, with the node's address for the page's."""
        found = re.findall(r"^(" + pattern + r")$", PAGE, re.MULTILINE)
        self.assertEqual(len(found), 1, pattern)
        command = found[0].replace("https://elastic:9200", self.node.address)
        return json.loads(run("bash", "-o", "pipefail", "-c", command.replace("docs/siem/", f"{ROOT}/docs/siem/"), cwd=self.folder))

    def load(self, kind, index):
        """The records of a format, after they have been loaded as the page says, twice."""
        records = []
        with open(self.folder / f"flows.{kind}", "w") as together:
            for file in sorted(self.folder.glob(f"*.{kind}")):
                if file.name != f"flows.{kind}":
                    text = file.read_text()
                    together.write(text)
                    records += [json.loads(line) for line in text.splitlines()]
        self.assertGreater(len(records), 150)
        self.assertTrue(self.on_page(r"curl -X PUT \S*/_index_template/" + index + " .*")["acknowledged"])
        for result in ("created", "updated"):
            answer = self.on_page(rf"jq -c .*flows\.{kind} \|\n.*_bulk.*")
            failed = [item["index"] for item in answer["items"] if item["index"].get("result") != result]
            self.assertEqual(failed[:2], [])
            self.node.ask("POST", f"/{index}-*/_refresh")
            self.assertEqual(self.count(index, {"match_all": {}}), len(records))
        return records

    def count(self, index, query):
        return self.node.ask("POST", f"/{index}-*/_count", {"query": query})["count"]

    def check_mapping(self, index, template, records):
        """The index has the template's types and labels, nothing else; every value is found under its name."""
        properties = json.loads((ROOT / "docs/siem" / template).read_text())["template"]["mappings"]["properties"]
        wanted = mapped(properties)
        del wanted["labels"]
        wanted |= {f"labels.{name}": "keyword" for name in LABELS[0]}
        there = [mapped(each["mappings"]["properties"]) for each in self.node.ask("GET", f"/{index}-*/_mapping").values()]
        self.assertEqual(there, [wanted])
        self.assertEqual(self.count(index, {"exists": {"field": "_ignored"}}), 0)
        found = [leaves(record) for record in records]
        by_field = {path: {"exists": {"field": path}} for path in wanted}
        answer = self.node.ask("POST", f"/{index}-*/_search", {"size": 0, "aggs": {"fields": {"filters": {"filters": by_field}}}})
        counts = {path: bucket["doc_count"] for path, bucket in answer["aggregations"]["fields"]["buckets"].items()}
        self.assertEqual(counts, {path: sum(path in each for each in found) for path in wanted})
        return {path for path, count in counts.items() if count == 0}

    def check_queries(self, index, records, names):
        """What a user asks, against the same sum over the lines."""
        values = [{role: leaves(record).get(name) for role, name in names.items()} for record in records]
        sums = {}
        for each in values:
            sums[each["source"]] = sums.get(each["source"], 0) + each["bytes"]
        answer = self.node.ask("POST", f"/{index}-*/_search", {"size": 0, "aggs": {"talkers": {
            "terms": {"field": names["source"], "size": 1000}, "aggs": {"bytes": {"sum": {"field": names["bytes"]}}}}}})
        self.assertEqual({each["key"]: int(each["bytes"]["value"]) for each in answer["aggregations"]["talkers"]["buckets"]}, sums)

        for network in ("10.9.0.0/24", "192.168.0.0/16", "fd00:10:16::/48"):
            inside = sum(ipaddress.ip_address(each["source"]) in ipaddress.ip_network(network) for each in values)
            self.assertGreater(inside, 0, network)
            self.assertEqual(self.count(index, {"term": {names["source"]: network}}), inside, network)

        times = sorted(each["time"] for each in values)
        begin, end = times[len(times) // 3][:19] + "Z", times[len(times) * 2 // 3][:19] + "Z"
        within = sum(instant(begin) <= instant(each) < instant(end) for each in times)
        self.assertGreater(within, 0)
        self.assertEqual(self.count(index, {"range": {names["time"]: {"gte": begin, "lt": end}}}), within)

        community = next(each["community"] for each in values if each["port"] == 8080)
        both_ways = sum(each["community"] == community for each in values)
        self.assertGreater(both_ways, 1)
        self.assertEqual(self.count(index, {"term": {names["community"]: community}}), both_ways)

    def test_json(self):
        records = self.load("json", "fffa-flows")
        self.assertEqual(self.check_mapping("fffa-flows", "index-template.json", records), {"@timestamp"})  # which Logstash adds
        self.check_queries("fffa-flows", records, {"source": "src_ip", "bytes": "bytes", "time": "last_seen", "community": "community_id",
                                                   "port": "pkt_dst_port"})

    def test_ecs(self):
        records = self.load("ecs", "fffa-ecs")
        self.assertEqual(self.check_mapping("fffa-ecs", "ecs-index-template.json", records), set())
        self.check_queries("fffa-ecs", records, {"source": "source.ip", "bytes": "network.bytes", "time": "@timestamp",
                                                 "community": "network.community_id", "port": "destination.port"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
