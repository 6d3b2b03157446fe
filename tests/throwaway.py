"""What a test session creates and throws away: a folder and a PostgreSQL."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tables import GUARDED

from dbt_project import embedded

IN_MEMORY = Path("/dev/shm")
ROOM = 2**30
UNSAFE_BUT_QUICK = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
"""


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Yield a folder for the session, in memory if there is room.

    Not below pytest's own folder, which the next session of pytest locks against the server.
    Every test creates a database, of a thousand pages, which is ten times quicker in memory.
    """
    roomy = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM
    folder = tempfile.mkdtemp(prefix="rollup-tests-", dir=IN_MEMORY if roomy else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def psql() -> Path:
    """Return the client that comes with the wheel."""
    return embedded.BIN / "psql"


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run the server that comes as a Python wheel on data in `folder`; yield its URI."""
    account = embedded.server_account()
    embedded.create(folder, account)
    rules = folder / "pg_hba.conf"
    rules.write_text(f"local all {GUARDED} scram-sha-256\nlocal all all trust\n")
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write(UNSAFE_BUT_QUICK)
    process = embedded.launch(folder, account)
    try:
        yield embedded.uri(folder)
    finally:
        embedded.stop(folder / "postmaster.pid", process)


@contextmanager
def databases(conn: psycopg.Connection, conninfo: str, kind: str) -> Iterator[Callable[..., str]]:
    """Yield a function that creates a database, optionally from a template; drop them at the end.

    `conn` and `conninfo` are those of a superuser. The first database of a kind always has the
    same name, since dbt parses the whole project when that changes.
    """
    names: list[str] = []
    numbers = count()

    def create(name: str | None = None, template: str = "template1") -> str:
        names.append(name or f"rollup_{kind}_{os.getpid()}_{next(numbers)}")
        # Copying files costs half as much as the default, as long as fsync is off.
        query = sql.SQL("create database {} template {} strategy file_copy")
        conn.execute(query.format(sql.Identifier(names[-1]), sql.Identifier(template)))
        return make_conninfo(conninfo, dbname=names[-1])

    yield create
    for name in names:
        conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
