"""Signals: defer SIGINT, SIGTERM and SIGHUP, and raise KeyboardInterrupt only where it is safe.

A signal can arrive between any two instructions, and must not tear apart what writes the run log.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENOUGH = 3  # as many signals end the process at once, by their default action

_received: list[int] = []
_interruptible = False


def defer() -> None:
    """From here on let signals wait for a block that is interruptible."""
    _received.clear()
    for number in SIGNALS:
        signal.signal(number, _handle)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block when a signal arrives or has arrived before.

    Raises it at the end too: dbt stops its work at Ctrl-C, but swallows the exception.
    """
    global _interruptible
    before, _interruptible = _interruptible, True
    try:
        raise_if_received()
        yield
    finally:
        _interruptible = before
        raise_if_received()


def received() -> bool:
    return bool(_received)


def raise_if_received() -> None:
    if _received:
        raise KeyboardInterrupt


def _handle(number: int, _: object) -> None:
    _received.append(number)
    if len(_received) >= ENOUGH:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    if _interruptible:
        raise KeyboardInterrupt


def let_dbt_cancel() -> None:
    """Replace how dbt cancels running queries when it is interrupted.

    dbt asks the server to terminate the backend whose pid it got on connecting. A pooler invents
    this pid: the queries go on, or those of another client end. dbt has no setting for it; `cancel`
    is the method that its adapters must define.
    """
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    setattr(PostgresConnectionManager, "cancel", _cancel)  # noqa: B010  mypy forbids to assign it


def _cancel(_: Any, connection: Any) -> None:
    import psycopg2

    with suppress(psycopg2.Error, OSError):
        connection.handle.cancel()
    # Its thread may be between two statements, and must not send the second one.
    with (
        suppress(psycopg2.Error, OSError),
        socket.socket(fileno=os.dup(connection.handle.fileno())) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)
