# SPDX-License-Identifier: MIT
"""A real Apache Kafka for tests: one process, KRaft, jars from tests/services/fetch.

  with Kafka() as kafka:
      kafka.create_topic("flows", partitions=4)
      kafka.messages("flows", 10)      # through kcat

Listeners on loopback: `address` is plaintext and open to all; `secure_address` is SASL_SSL (PLAIN), where user `fffa` with `password` may do
what allow() says. Topics are not made by themselves. Whatever is started is ended by its id.
"""
import json
import os
import pathlib
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

    def __init__(self):
        self.jars = subprocess.run([HERE / "fetch", "kafka"], check=True, capture_output=True, text=True).stdout.strip()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fffa-kafka-"))
        self.process = None
        plain, secure, controller = free_port(), free_port(), free_port()
        self.address, self.secure_address = f"127.0.0.1:{plain}", f"localhost:{secure}"
        self.ca = self.folder / "ca.pem"
        self._make_certificate()
        (self.folder / "server.properties").write_text(f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAIN://127.0.0.1:{plain},SECURE://localhost:{secure},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAIN://127.0.0.1:{plain},SECURE://localhost:{secure}
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_fffa="{self.password}";
ssl.keystore.location={self.folder}/keys.p12
ssl.keystore.type=PKCS12
ssl.keystore.password=testing
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs={self.folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
""")
        (self.folder / "log4j2.yaml").write_text("Configuration:\n  Loggers:\n    Root:\n      level: warn\n")
        cluster = self.java("kafka.tools.StorageTool", "random-uuid").strip().splitlines()[-1]
        self.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.folder / "server.properties")
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.kill()
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

    def start(self):
        with open(self.folder / "broker.log", "ab") as log:
            self.process = subprocess.Popen(self._command("kafka.Kafka", self.folder / "server.properties"), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.folder)
        deadline = time.monotonic() + 90
        while subprocess.run(["kcat", "-L", "-b", self.address, "-m", "2"], capture_output=True).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Kafka does not start:\n" + (self.folder / "broker.log").read_text()[-3000:])
            time.sleep(0.2)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    # --- what is there

    def create_topic(self, name, partitions=1, **settings):
        extra = [part for key, value in settings.items() for part in ("--config", f"{key.replace('_', '.')}={value}")]
        self.java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.address, "--create", "--topic", name,
                  "--partitions", partitions, *extra)

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
        done = subprocess.run(["kcat", "-C", "-b", self.address, "-t", topic, "-o", "beginning", "-e", "-q", "-J"],
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
