"""Bytes over a socket, and what may come back to them."""

import gzip
import http.client
import io
import json
import socket
from dataclasses import dataclass
from typing import Any

TOKEN = "t0ken-0f-the-dashboard"
PROTECTED = [*(f"/v1/metrics/{name}" for name in ("daily", "experiments", "funnels")), "/v1/runs"]
STATUSES = {200, 204, 304, 400, 401, 404, 405, 413, 431, 501}
OF_THE_SERVER = {400, 413, 431, 501}  # to what is no HTTP, or too large
PATIENCE_S = 20


@dataclass(frozen=True)
class Answer:
    """One response: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def check(self) -> "Answer":
        """Assert that it tells nothing of the inside, and the API's errors have their one shape."""
        assert self.status in STATUSES, self
        assert b"Traceback" not in self.body and b"psycopg" not in self.body, self
        if "x-request-id" not in self.headers:
            assert self.status in OF_THE_SERVER and len(self.body) < 200, self
        elif self.status >= 400:
            assert self.headers["content-type"] == "application/json", self
            if self.body:  # HEAD has none
                assert list(self.json) == ["error", "message"], self
        return self


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def answers(port: int, blob: bytes) -> list[Answer]:
    """Send bytes and say that no more will come; return all that comes back, checked."""
    with connect(port) as sock:
        try:
            sock.sendall(blob)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has heard enough
        received = b""
        try:
            while block := sock.recv(65536):
                received += block
        except ConnectionResetError:
            pass
    return [answer.check() for answer in parsed(received, blob.startswith(b"HEAD "))]


def get(port: int, path: str, *lines: str, token: str | None = TOKEN) -> Answer:
    """GET one path with header lines of any shape."""
    lines = (*lines, f"x-dashboard-token: {token}") if token else lines
    head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", ""))
    (answer,) = answers(port, head.encode("latin-1"))
    return answer


def parsed(received: bytes, is_head: bool = False) -> list[Answer]:
    """Split what was received into answers."""
    stream, found = io.BytesIO(received), []
    while stream.tell() < len(received):
        response = http.client.HTTPResponse(_Given(stream), method="HEAD" if is_head else "GET")
        response.begin()
        headers = {name.lower(): text for name, text in response.headers.items()}
        body = response.read()
        if is_head and headers.get("connection") == "close":
            # To what it could not read the server knows no method, and it ends every chunked body.
            body = stream.read().removeprefix(b"0\r\n\r\n")
        if headers.get("content-encoding") == "gzip" and body:
            body = gzip.decompress(body)
        found.append(Answer(response.status, headers, body))
    return found


class _Given:
    """As much of a socket as http.client reads from."""

    def __init__(self, stream: io.BytesIO):
        self.stream = stream

    def makefile(self, *_: Any) -> io.BufferedReader:
        # It closes its file after a body, and the next answer follows in the same stream.
        return _Unclosed(self.stream)


class _Unclosed(io.RawIOBase):
    def __init__(self, stream: io.BytesIO):
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.stream.readinto(buffer)

    def read(self, size: int = -1) -> bytes:
        return self.stream.read(size)

    def readline(self, size: int | None = -1) -> bytes:
        return self.stream.readline(size)
