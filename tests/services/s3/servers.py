# SPDX-License-Identifier: MIT
"""What the S3 tests talk to: MinIO, a proxy before it that misbehaves when told to, a metadata service with a role. Loopback only."""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

USER, PASSWORD = "minio-admin", "minio-secret-0123456789"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Minio:
    """The program S3_TEST_MINIO. Its data outlive a stop; ended by its own id. With `certificates` (a folder with public.crt, private.key) it
    speaks https, as localhost."""

    def __init__(self, folder, certificates=None):
        self.folder, self.port, self.process = pathlib.Path(folder), free_port(), None
        self.program = [os.environ["S3_TEST_MINIO"], "server", "--quiet", "--address", f"127.0.0.1:{self.port}"]
        self.url = f"http://127.0.0.1:{self.port}"
        if certificates:
            self.program += ["--certs-dir", certificates]
            self.url = f"https://localhost:{self.port}"

    def is_ready(self):
        if self.url.startswith("https"):  # whom its clients trust is theirs to say
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=2, context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        with contextlib.closing(connection):
            connection.request("GET", "/minio/health/ready")
            return connection.getresponse().status == 200

    def start(self):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD,
                       "MINIO_DOMAIN": "localhost", "MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "MINIO_CALLHOME_ENABLE": "off"}
        with open(self.folder / "minio.log", "ab") as log:
            self.process = subprocess.Popen([*self.program, self.folder / "data"], env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.is_ready():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("MinIO does not start: " + (self.folder / "minio.log").read_text())

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # connections are cut on purpose


ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>made up</Message></Error>"


class Proxy(Server):
    """Passes requests on to a store. `faults` holds, for each request to come that `matches`, one of
    500, 503 (SlowDown), "200" (with an error in the body), "reset" (in the middle of the body), "lost" (done, but the answer is lost),
    "slow" (bytes trickle), "expired" (the credentials), None. Access keys in `expired` have expired. `answers` are the store's own:
    method, status, error code."""

    def __init__(self, store):
        self.store, self.faults, self.seen, self.matches = store, [], [], lambda method, path: True
        self.expired, self.hosts, self.answers = set(), set(), []
        super().__init__(ProxyHandler)


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def cut(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def answer(self, status, body, headers=()):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        proxy = self.server
        length = int(self.headers.get("Content-Length") or 0)
        fault = proxy.faults.pop(0) if proxy.faults and proxy.matches(self.command, self.path) else None
        proxy.seen.append((self.command, self.path, fault))
        proxy.hosts.add(self.headers["Host"])
        if fault == "reset":
            self.rfile.read(length // 2)
            return self.cut()
        if fault == "slow":
            while length > 0 and (piece := self.rfile.read(min(length, 65536))):
                length -= len(piece)
                time.sleep(0.05)
            return self.cut()
        body = self.rfile.read(length)
        if fault in (500, 503):
            code = "InternalError" if fault == 500 else "SlowDown"
            return self.answer(fault, ERROR.format(code).encode(), [("Retry-After", "1")] if fault == 503 else [])
        if fault == "expired" or any(f"Credential={key}/" in self.headers.get("Authorization", "") for key in proxy.expired):
            return self.answer(400, ERROR.format("ExpiredToken").encode())
        if fault == "200":
            return self.answer(200, ERROR.format("InternalError").encode())
        store = http.client.HTTPConnection("127.0.0.1", proxy.store.port, timeout=30)
        store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            store.putheader(name, value)
        try:
            store.endheaders(body)
            reply = store.getresponse()
            content = reply.read()
        except OSError:
            return self.cut()
        code = re.search(rb"<Code>(.*?)</Code>", content)
        proxy.answers.append((self.command, reply.status, code[1].decode() if code else ""))
        if fault == "lost":
            return self.cut()
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", reply.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any


class Tunnel(Server):
    """A proxy for https: passes bytes on to whom CONNECT names, and notes them."""

    def __init__(self):
        self.asked = []
        super().__init__(TunnelHandler)


class TunnelHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.server.asked.append(self.path)
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as store:
            self.send_response_only(200)
            self.end_headers()
            other = {self.connection: store, store: self.connection}
            while True:
                for end in select.select(other, [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    other[end].sendall(data)


class Metadata(Server):
    """IMDSv2 with the role `flow-logs`, whose credentials are those of `credentials()`: a dict of the service's own names."""

    def __init__(self, credentials):
        self.credentials, self.asked = credentials, 0
        super().__init__(MetadataHandler)


class MetadataHandler(http.server.BaseHTTPRequestHandler):
    ROLES = "/latest/meta-data/iam/security-credentials/"

    def log_message(self, *_):
        pass

    def answer(self, status, text=""):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        self.answer(200 if self.path == "/latest/api/token" else 403, "token-of-the-test")

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token") != "token-of-the-test":
            return self.answer(401)
        if self.path == self.ROLES:
            return self.answer(200, "flow-logs\n")
        if self.path == self.ROLES + "flow-logs":
            self.server.asked += 1
            return self.answer(200, json.dumps(self.server.credentials()))
        return self.answer(404)
