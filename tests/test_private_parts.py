"""What depends on internals of another project, or is stated in two languages."""

import multiprocessing
import re
import socket
from types import SimpleNamespace

from dbt.adapters.contracts.connection import ConnectionState
from dbt.adapters.postgres.connections import PostgresConnectionManager

from dbt_project import ROOT, signals
from dbt_project.database import SERVER_TIMEOUTS


def test_dbt_cancels_queries_through_their_own_connections(monkeypatch):
    # So that the original is restored at the end.
    monkeypatch.setattr(PostgresConnectionManager, "cancel", PostgresConnectionManager.cancel)
    signals.let_dbt_cancel()
    manager = PostgresConnectionManager(None, multiprocessing.get_context("spawn"))
    line, server = socket.socketpair()
    cancelled = []
    handle = SimpleNamespace(cancel=lambda: cancelled.append(True), fileno=line.fileno)
    manager.thread_connections["another thread"] = SimpleNamespace(
        handle=handle, state=ConnectionState.OPEN, name="a model"
    )
    with line, server:
        assert manager.cancel_open() == ["a model"]
        assert cancelled == [True] and server.recv(1) == b""


def test_dbt_gives_up_lost_clients_as_early_as_the_command_line_does():
    macros = "\n".join(path.read_text() for path in (ROOT / "macros").glob("*.sql"))
    assert dict(re.findall(r"\b(tcp_\w+)'?\s*[,=]\s*'?(\d+)", macros)) == SERVER_TIMEOUTS
