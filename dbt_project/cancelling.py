"""How dbt ends the queries that still run when it is told to stop.

Its own way asks the server to end the process whose number it was given on connecting. Behind a
pooler that number is made up: the queries go on, and dbt waits for them. In the worst case it is
somebody else's.
"""

import os
import socket
from contextlib import suppress
from typing import Any


def install() -> None:
    """Let dbt cancel through the connections themselves."""
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    setattr(PostgresConnectionManager, "cancel", _cancel)  # noqa: B010  mypy forbids to assign it


def _cancel(_: Any, connection: Any) -> None:
    import psycopg2

    with suppress(psycopg2.Error, OSError):
        connection.handle.cancel()
    # Its thread may be between two statements, and must not come to send the second one.
    with (
        suppress(psycopg2.Error, OSError),
        socket.socket(fileno=os.dup(connection.handle.fileno())) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)
