"""A client's connection, which collects the head of a request and keeps what is not taken yet."""

import errno
import select
import socket
import time
from collections import deque
from threading import Lock
from typing import Any

from gunicorn.http import RequestParser
from gunicorn.workers.gthread import TConn

HEAD_BYTES = 32 * 1024
RECEIVE_BYTES = 64 * 1024
# Where a process holds more than this for its clients, a thread goes at the pace of its own one,
# beyond what it may always leave behind.
HELD_BYTES, HELD_BYTES_EACH = 64 * 1024 * 1024, 256 * 1024
SEND_S = 60


class ClientSocket(socket.socket):
    """Sends what the kernel takes at once; the rest is the backlog, which `flush` sends later."""

    held_by_all = 0
    _counting = Lock()

    def __init__(self, accepted: socket.socket):
        super().__init__(fileno=accepted.detach())
        self.backlog: deque[memoryview] = deque()
        self.held = 0

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.backlog.append(memoryview(data))
        self._count(len(data))
        self.flush()
        deadline = time.monotonic() + SEND_S
        poll = select.poll()
        poll.register(self, select.POLLOUT)
        while self.held > HELD_BYTES_EACH and ClientSocket.held_by_all > HELD_BYTES:
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise ConnectionResetError(errno.ECONNRESET, "the client takes too long")
            self.flush()

    def flush(self) -> None:
        """Send what can be sent without waiting. Raises OSError when the client is gone."""
        while self.backlog:
            block = self.backlog.popleft()
            try:
                sent = self.send(block, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            self._count(-sent)
            if sent < len(block):
                self.backlog.appendleft(block[sent:])
                return

    def close(self) -> None:
        self.backlog.clear()
        self._count(-self.held)
        super().close()

    def _count(self, change: int) -> None:
        with self._counting:
            self.held += change
            ClientSocket.held_by_all += change


class Connection(TConn):
    """What gunicorn knows of a connection, made so that no thread ever waits for the client.

    The head is read by the event loop and parsed from memory. A body is never read: no endpoint
    takes one, so the connection closes after a request that has one.
    """

    def __init__(self, cfg: Any, accepted: socket.socket, client: Any, server: Any):
        super().__init__(cfg, ClientSocket(accepted), client, server)
        self.initialized = self.data_ready = True
        self.head = bytearray()
        self.ignored_bytes = self.held_before = 0
        self.outcome: Any = None

    def receive(self) -> bool:
        """Take what has arrived, and say whether a request can be parsed, or refused.

        Raises EOFError or OSError when there will be nothing more.
        """
        seen = len(self.head)
        if not self._is_decided(0):
            try:
                data = self.sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            if not data:
                raise EOFError
            self.head += data
            if not self._is_decided(max(seen - 3, 0)):
                return False
        self.parser = RequestParser(self.cfg, [bytes(self.head)], self.client)
        return True

    def is_too_large(self) -> bool:
        """Whether the head has more bytes than a head may have, in lines of a good length."""
        end = self.head.find(b"\r\n\r\n")
        line = self.head.find(b"\r\n")
        return (end if end >= 0 else len(self.head)) > HEAD_BYTES and (
            0 <= line <= self.cfg.limit_request_line
        )

    def take_rest(self) -> bool:
        """Begin the next head with what came behind the last; say whether there was any."""
        self.head = bytearray(self.parser.unreader.take_buffered())
        return bool(self.head)

    def _is_decided(self, start: int) -> bool:
        # A bare line feed is refused by the parser, which need not wait for more.
        head = self.head
        return (
            head.find(b"\r\n\r\n", start) >= 0
            or len(head) > HEAD_BYTES
            or head.count(b"\n") != head.count(b"\r\n")
        )
