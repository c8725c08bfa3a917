# SPDX-License-Identifier: MIT
"""A real Apache Kafka for tests: KRaft, a process for each node, jars from tests/services/fetch.

  with Kafka() as kafka:             # Kafka(nodes=3): each is broker and controller
      kafka.create_topic("flows", partitions=4)
      kafka.messages("flows", 10)      # through kcat

Listeners on loopback, of the first node: `address` is plaintext and open to all, `addresses` those of every node; `secure_address` is SASL_SSL (PLAIN), where user `fffa`
with `password` may do what allow() says; `relayed` is plaintext for a Proxy(kafka.relay_port, kafka.relayed_port) (proxy.py) that the test starts. Topics are not made by themselves. Whatever is started is ended by its id.
"""
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Kafka:
    password = "correct horse battery"

    def __init__(self, nodes=1):
        self.jars = subprocess.run([HERE / "fetch", "kafka"], check=True, capture_output=True, text=True).stdout.strip()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fffa-kafka-"))
        self.processes = [None] * nodes
        self.ports = [{name: free_port() for name in ("plain", "secure", "controller", "relayed", "relay")} for _ in range(nodes)]
        self.addresses = [f"127.0.0.1:{ports['plain']}" for ports in self.ports]
        self.address, self.secure_address = self.addresses[0], f"localhost:{self.ports[0]['secure']}"
        self.relay_port, self.relayed_port = self.ports[0]["relay"], self.ports[0]["relayed"]
        self.relayed = f"127.0.0.1:{self.relay_port}"
        self.ca = self.folder / "ca.pem"
        self._make_certificate()
        (self.folder / "log4j2.yaml").write_text("Configuration:\n  Loggers:\n    Root:\n      level: warn\n")
        cluster = self.java("kafka.tools.StorageTool", "random-uuid").strip().splitlines()[-1]
        for node in range(nodes):
            self._properties(node).write_text(self._settings(node))
            self.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self._properties(node))
        self.start_all()

    def _properties(self, node):
        return self.folder / f"server-{node}.properties"

    def _settings(self, node):
        ports = self.ports[node]
        voters = ",".join(f"{i + 1}@127.0.0.1:{each['controller']}" for i, each in enumerate(self.ports))
        return f"""
process.roles=broker,controller
node.id={node + 1}
controller.quorum.voters={voters}
listeners=PLAIN://127.0.0.1:{ports['plain']},SECURE://localhost:{ports['secure']},RELAYED://127.0.0.1:{ports['relayed']},CONTROLLER://127.0.0.1:{ports['controller']}
advertised.listeners=PLAIN://127.0.0.1:{ports['plain']},SECURE://localhost:{ports['secure']},RELAYED://127.0.0.1:{ports['relay']}
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,RELAYED:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_fffa="{self.password}";
ssl.keystore.location={self.folder}/keys.p12
ssl.keystore.type=PKCS12
ssl.keystore.password=testing
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs={self.folder}/data-{node}
auto.create.topics.enable=false
auto.leader.rebalance.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor={len(self.ports)}
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for node in range(len(self.processes)):
            self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_certificate(self):
        keys = ["-keystore", self.folder / "keys.p12", "-storepass", "testing", "-alias", "broker"]
        subprocess.run(["keytool", "-genkeypair", *keys, "-storetype", "PKCS12", "-keyalg", "EC", "-dname", "CN=localhost",
                        "-ext", "san=dns:localhost,ip:127.0.0.1", "-validity", "30"], check=True, capture_output=True)
        pem = subprocess.run(["keytool", "-exportcert", "-rfc", *keys], check=True, capture_output=True, text=True).stdout
        self.ca.write_text(pem)

    def _command(self, main, *arguments):
        return ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={self.folder}/log4j2.yaml", "-cp", f"{self.jars}/*",
                main, *map(str, arguments)]

    def java(self, main, *arguments, timeout=120):
        """Runs one of Kafka's own programs; its standard output."""
        done = subprocess.run(self._command(main, *arguments), capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{main} {arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    # --- the broker's life

    def launch(self, node=0):
        with open(self.folder / "broker.log", "ab") as log:
            self.processes[node] = subprocess.Popen(self._command("kafka.Kafka", self._properties(node)), stdout=log, stderr=log,
                                                    stdin=subprocess.DEVNULL, cwd=self.folder)

    def wait_for(self, node=0):
        deadline = time.monotonic() + 90
        while subprocess.run(["kcat", "-L", "-b", self.addresses[node], "-m", "2"], capture_output=True).returncode != 0:
            if self.processes[node].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Kafka does not start:\n" + (self.folder / "broker.log").read_text()[-3000:])
            time.sleep(0.2)

    def start(self, node=0):
        self.launch(node)
        self.wait_for(node)

    def start_all(self):
        for node in range(len(self.processes)):
            self.launch(node)
        for node in range(len(self.processes)):
            self.wait_for(node)

    def kill(self, node=0):
        process = self.processes[node]
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def pause(self, node=0):
        self.processes[node].send_signal(signal.SIGSTOP)

    def resume(self, node=0):
        self.processes[node].send_signal(signal.SIGCONT)

    # --- what is there

    def create_topic(self, name, partitions=1, replicas=1, **settings):
        extra = [part for key, value in settings.items() for part in ("--config", f"{key.replace('_', '.')}={value}")]
        self.java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.address, "--create", "--topic", name,
                  "--partitions", partitions, "--replication-factor", replicas, *extra)

    def change_topic(self, name, **settings):
        self.java("kafka.admin.ConfigCommand", "--bootstrap-server", self.address, "--alter", "--entity-type", "topics", "--entity-name", name,
                  "--add-config", ",".join(f"{key.replace('_', '.')}={value}" for key, value in settings.items()))

    def delete_topic(self, name):
        self.java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.address, "--delete", "--topic", name)

    def partitions(self, topic, ask=0):
        """As node `ask` knows them: lists of {leader (a node, or None), in_sync (nodes)}."""
        done = subprocess.run(["kcat", "-L", "-J", "-b", self.addresses[ask], "-t", topic], check=True, capture_output=True, timeout=30)
        found = json.loads(done.stdout)["topics"][0]["partitions"]
        return [{"leader": each["leader"] - 1 if each["leader"] > 0 else None, "in_sync": {isr["id"] - 1 for isr in each["isrs"]}} for each in found]

    def coordinator(self, group, ask=0):
        """The node that keeps the group's members and offsets."""
        out = self.java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.addresses[ask], "--describe", "--group", group,
                        "--state")
        return int(re.search(r"\((\d+)\)", out)[1]) - 1

    def elect_preferred(self, ask=0):
        """Leaders go back to the nodes that are meant to lead."""
        self.java("org.apache.kafka.tools.LeaderElectionCommand", "--bootstrap-server", self.addresses[ask], "--election-type", "preferred",
                  "--all-topic-partitions")

    def allow(self, topic):
        """User fffa may write to it."""
        self.java("org.apache.kafka.tools.AclCommand", "--bootstrap-server", self.address, "--add", "--allow-principal", "User:fffa",
                  "--producer", "--topic", topic)

    def allow_reading(self, topic=None, group=None):
        """User fffa may read it, or be of the group."""
        resource = ("--topic", topic) if topic else ("--group", group)
        operations = [part for one in ("Read", "Describe") for part in ("--operation", one)]
        self.java("org.apache.kafka.tools.AclCommand", "--bootstrap-server", self.address, "--add", "--allow-principal", "User:fffa", *operations, *resource)

    def messages(self, topic):
        """All that is there by now, through kcat: dicts with topic, partition, key, payload and headers (a dict)."""
        done = subprocess.run(["kcat", "-C", "-b", ",".join(self.addresses), "-t", topic, "-o", "beginning", "-e", "-q", "-J"],
                              check=True, capture_output=True, timeout=300)
        all_of_them = [json.loads(line) for line in done.stdout.splitlines()]
        for message in all_of_them:
            pairs = message.get("headers") or []
            message["headers"] = dict(zip(pairs[::2], pairs[1::2]))
        return all_of_them

    def console(self, topic, count):
        """Values of `count` messages, through Kafka's own console consumer."""
        return self.java("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.address, "--topic", topic,
                         "--from-beginning", "--max-messages", count, "--timeout-ms", 30000).splitlines()
