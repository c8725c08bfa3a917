# SPDX-License-Identifier: MIT
"""A real OpenSearch node for tests, alone on loopback and open to all; jars from tests/services/fetch, data in a temporary folder.

  with OpenSearch() as node:
      node.ask("GET", "/_count")       # what it answers, parsed

It takes some 300 MB of memory. Jars alone are no installation: the network module is laid out here as the distribution has it.
"""
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from kafka import HERE, free_port

MODULE = """name=transport-netty4
description=HTTP and transport
version={version}
opensearch.version={version}
java.version=11
classname=org.opensearch.transport.Netty4Plugin
"""
POLICY = """grant {
  permission java.io.FilePermission "/proc/sys/net/core/somaxconn", "read";
  permission java.net.SocketPermission "*", "accept,connect";
  permission java.lang.RuntimePermission "*", "setContextClassLoader";
  permission java.lang.RuntimePermission "getClassLoader";
  permission java.util.PropertyPermission "sun.nio.ch.bugLevel", "write";
};
"""
# A disk that is nearly full is no reason to refuse an index of a test.
SETTINGS = """discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport}
cluster.routing.allocation.disk.threshold_enabled: false
"""
LOGGING = """appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d][%p][%c{1.}] %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
"""


class OpenSearch:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fffa-opensearch-"))
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = None
        jars = sorted(pathlib.Path(subprocess.run([HERE / "fetch", "opensearch"], check=True, capture_output=True, text=True).stdout.strip()).glob("*.jar"))
        module = self.folder / "modules/transport-netty4"
        for folder in (module, self.folder / "config", self.folder / "tmp"):
            folder.mkdir(parents=True)
        of_module = [jar for jar in jars if jar.name.startswith(("netty-", "transport-netty4-client-"))]
        for jar in of_module:
            shutil.copy(jar, module)
        version = next(jar.stem.rpartition("-")[2] for jar in of_module if jar.name.startswith("transport"))
        (module / "plugin-descriptor.properties").write_text(MODULE.format(version=version))
        (module / "plugin-security.policy").write_text(POLICY)
        (self.folder / "config/log4j2.properties").write_text(LOGGING)
        (self.folder / "config/opensearch.yml").write_text(SETTINGS.format(port=self.port, transport=free_port()))
        try:
            self._start([jar for jar in jars if jar not in of_module])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, jars):
        # Without JNA's native part it cannot see that it runs as root, which it would refuse. From Java 18 on, a security manager must be permitted.
        command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-Djna.nounpack=true", "-Djna.nosys=true", "-Djava.security.manager=allow",
                   f"-Djava.io.tmpdir={self.folder}/tmp", f"-Dopensearch.path.home={self.folder}", f"-Dopensearch.path.conf={self.folder}/config",
                   "-cp", ":".join(map(str, jars)), "org.opensearch.bootstrap.OpenSearch"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)
        deadline = time.monotonic() + 90
        while True:
            try:
                self.ask("GET", "/")
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("OpenSearch does not start:\n" + (self.folder / "log").read_text()[-3000:]) from None
            time.sleep(0.2)

    def ask(self, method, path, body=None):
        """The answer, parsed; an error of the node is a RuntimeError with what it says."""
        request = urllib.request.Request(self.address + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()}") from None
