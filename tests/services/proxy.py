# SPDX-License-Identifier: MIT
"""A TCP relay between a client and a service, which a test slows down or cuts.

  with Proxy(listen=port, to=other_port) as proxy:
      proxy.rate = 200_000   # bytes a second and direction; None: as they come
      proxy.cut()            # connections end, new ones are refused
      proxy.restore()
"""
import socket
import threading

CHUNK = 16_384


class Proxy:
    def __init__(self, listen, to):
        self.listen, self.to, self.rate = listen, to, None
        self.lock = threading.Lock()
        self.server, self.open = None, set()
        self.ended = threading.Event()
        self.restore()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.ended.set()
        self.cut()

    def restore(self):
        self.server = socket.create_server(("127.0.0.1", self.listen))
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()

    def cut(self):
        with self.lock:
            ends = [self.server, *self.open]
            self.open.clear()
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _accept(self, server):
        while True:
            try:
                client, _ = server.accept()
                service = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            with self.lock:
                self.open |= {client, service}
            for pair in ((client, service), (service, client)):
                threading.Thread(target=self._relay, args=pair, daemon=True).start()

    def _relay(self, source, sink):
        try:
            while data := source.recv(CHUNK):
                if self.rate is not None:
                    self.ended.wait(len(data) / self.rate)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
