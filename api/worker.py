"""Gunicorn's threaded worker, made safe from clients that are slow or talk no HTTP.

Its threads get requests whose head is whole, and hand on answers that the event loop sends as
the client takes them. So connections may trickle or hang: that costs no thread, and each has a
time by which it must have got on.
"""

import errno
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from api.connection import RECEIVE_BYTES, SEND_S, Connection

HEAD_S = 10
# So long, and so much, a client may go on sending after its answer before it is cut off.
LINGER_S, LINGER_BYTES = 2, 16 * 1024 * 1024
PROGRESS_BYTES = 64 * 1024  # of its answer a client must take at least, each SEND_S
LOOK_EVERY_S = 0.5
STOPS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


@cache
def _hold_stops_at_forks() -> None:
    """Let no stop reach a new process before it has handlers of its own.

    Until then it has those of gunicorn's parent, which put the signal where only the parent looks,
    so that the parent would wait for it in vain.
    """
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, STOPS),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, STOPS),
    )


class Worker(ThreadWorker):
    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.waits: dict[Connection, Callable[[Connection], None]] = {}
        self.looked_at = 0.0
        _hold_stops_at_forks()

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def accept(self, listener: socket.socket) -> None:
        if self.nr_conns >= self.worker_connections - 1:
            self._make_room()
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        self._read(Connection(self.cfg, accepted, client, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        if conn not in self.keepalived_conns:
            return  # it had to make room in this very round
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._read(conn)

    def handle(self, conn: Connection) -> Any:
        if conn.is_too_large():
            refusal = errors.LimitRequestHeaders("limit request head size")
            self.handle_error(None, conn.sock, conn.client, refusal)
            return False
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        reader = req.body.reader
        if isinstance(reader, ChunkedReader) or reader.length:
            # Nobody reads it, so where the next request begins will not be known.
            req.force_close()
        req._expected_100_continue = False
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        conn.outcome = fs
        if conn.sock.backlog:
            conn.held_before = conn.sock.held
            self._wait(conn, selectors.EVENT_WRITE, self._send, SEND_S)
        else:
            self._settle(conn)

    def murder_pending(self) -> None:
        """Part with connections whose time is over."""
        now = time.monotonic()
        if now < self.looked_at + LOOK_EVERY_S:
            return
        self.looked_at = now
        for conn, callback in list(self.waits.items()):
            heads = callback == self._read
            early = HEAD_S - STOP_KEEPALIVE_LINGER if heads and not self.alive else 0
            if conn.timeout - early > now:
                continue
            if heads and conn.head:
                self._tell(conn.sock, HTTPStatus.REQUEST_TIMEOUT)
            self._drop(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if isinstance(exc, errors.ParseException):
            status = STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
            # Not the exception's text: it may quote the header that holds the token.
            self.log.warning("refused a malformed request: %s", type(exc).__name__)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("the server failed at a request", exc_info=exc)
        self._tell(client, status)

    def _read(self, conn: Connection) -> None:
        try:
            decided = conn.receive()
        except (EOFError, OSError):
            self._drop(conn)
            return
        if decided:
            self._stop_waiting(conn)
            self.enqueue_req(conn)
        elif conn not in self.waits:
            self._wait(conn, selectors.EVENT_READ, self._read, HEAD_S)

    def _send(self, conn: Connection) -> None:
        try:
            conn.sock.flush()
        except OSError:
            self._drop(conn)
            return
        if not conn.sock.backlog:
            self._stop_waiting(conn)
            self._settle(conn)
        elif conn.sock.held <= conn.held_before - PROGRESS_BYTES:
            conn.held_before = conn.sock.held
            conn.timeout = time.monotonic() + SEND_S

    def _settle(self, conn: Connection) -> None:
        """Go on with a connection whose answer is sent: next request, wait for one, or end."""
        fs = conn.outcome
        if fs.cancelled() or fs.exception() or not fs.result():
            self._part(conn)
        elif conn.take_rest():
            self._read(conn)
        else:
            super().finish_request(conn, fs)

    def _part(self, conn: Connection) -> None:
        # To close while the client still sends would take back the answer that is on its way.
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        self._wait(conn, selectors.EVENT_READ, self._ignore, LINGER_S)

    def _ignore(self, conn: Connection) -> None:
        try:
            received = len(conn.sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        conn.ignored_bytes += received
        if not received or conn.ignored_bytes > LINGER_BYTES:
            self._drop(conn)

    def _wait(
        self, conn: Connection, event: int, callback: Callable[[Connection], None], seconds: float
    ) -> None:
        conn.timeout = time.monotonic() + seconds
        self.waits[conn] = callback
        self.poller.register(conn.sock, event, partial(self._on_event, conn))

    def _on_event(self, conn: Connection, _: Any) -> None:
        # Another event of the same round may have ended the wait.
        if callback := self.waits.get(conn):
            callback(conn)

    def _stop_waiting(self, conn: Connection) -> None:
        if self.waits.pop(conn, None):
            self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._stop_waiting(conn)
        self.nr_conns -= 1
        conn.close()

    def _make_room(self) -> None:
        """Drop the connection that is missed least, so that a newer one finds a place."""
        if self.keepalived_conns:
            self.keepalived_conns[0].timeout = 0
            self.murder_keepalived()
        elif self.waits:
            self._drop(min(self.waits, key=lambda conn: self.waits[conn] == self._send))

    def _tell(self, client: Any, status: HTTPStatus) -> None:
        title = "Invalid request" if status == HTTPStatus.BAD_REQUEST else status.phrase
        body = json.dumps({"error": title, "message": "The request could not be read."}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "Connection: close\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode() + body)
        except OSError:
            self.log.debug("the client was gone before it was told")
