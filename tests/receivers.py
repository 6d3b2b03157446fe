"""A webhook and a mail server on localhost, which keep what they are sent."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Webhook:
    """What arrived, as (path, body). `status` is what the next requests get."""

    def __init__(self) -> None:
        self.status, self.got, self.port = 200, [], 0

    @property
    def last(self) -> str:
        """The last message."""
        return self.got[-1][1]["message"]

    @contextmanager
    def serving(self) -> Iterator["Webhook"]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if webhook.status == 200:
                    webhook.got.append((self.path, json.loads(body)))
                self.send_response(webhook.status)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as self.port:
            yield self


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs. The server has the list `got`."""

    def handle(self) -> None:
        self.wfile.write(b"220 localhost\r\n")
        for line in self.rfile:
            command = line[:4].strip().upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.got.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
            if command == b"QUIT":
                return


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.got = []
    with _serving(server) as port:
        yield port, server.got
