"""An API server on 90 days of rollups, and clients for it: see `bench.api`."""

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import click
import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbt_project import ROOT, embedded
from dbt_project.source import create_source_tables

PORT = 8399
NAME = "bench_api"
HEADERS = {"x-dashboard-token": "bench"}
FILL = Path(__file__).with_name("api.sql")


def flood(asked: Iterator[tuple[str, dict[str, str]]], connections: int) -> int:
    """Send the requests over that many parallel connections; return the number of errors."""
    lock = threading.Lock()
    errors: list[str] = []

    def work() -> None:
        with client() as ask:
            while True:
                with lock:
                    request = next(asked, None)
                if request is None:
                    return
                path, extra = request
                try:
                    status = ask(path, **extra)[0]
                except (OSError, http.client.HTTPException) as error:
                    errors.append(repr(error))
                    continue
                busy = status == 503 and path.endswith("csv")  # too many exports at once
                if not busy and status != (400 if path.endswith("=0") else 304 if extra else 200):
                    errors.append(f"{status} {path}")

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        click.echo(f"First error: {errors[0]}", err=True)
    return len(errors)


@contextlib.contextmanager
def client() -> Iterator[Callable[..., tuple[int, http.client.HTTPMessage, bytes]]]:
    conn = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)

    def ask(path: str, **extra: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        conn.request("GET", path, headers={**HEADERS, **extra})
        response = conn.getresponse()
        return response.status, response.headers, response.read()

    with contextlib.closing(conn):
        yield ask


@contextlib.contextmanager
def serving(conninfo: str) -> Iterator[psutil.Process]:
    url = "postgresql://?" + urlencode(conninfo_to_dict(conninfo), quote_via=quote)
    environment = {**os.environ, "DATABASE_URL": url, "DASHBOARD_TOKEN": "bench"}
    command = [sys.executable, "cli.py", "serve", "--port", str(PORT)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                time.sleep(0.1)
                with contextlib.suppress(OSError), client() as ask:
                    ask("/health")
                    break
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


@contextlib.contextmanager
def filled() -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        server = os.environ.get("BENCH_DATABASE_URL") or stack.enter_context(
            embedded.server("bench")
        )
        conninfo = make_conninfo(server, dbname=NAME)
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"drop database if exists {NAME} with (force)")
            admin.execute(f"create database {NAME}")
            stack.callback(_drop, server)
        with psycopg.connect(conninfo) as conn:
            create_source_tables(conn, "public")
        url = "postgresql://?" + urlencode(conninfo_to_dict(conninfo), quote_via=quote)
        command = [sys.executable, "cli.py", "--window-days", "1"]
        environment = {**os.environ, "DATABASE_URL": url}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        with psycopg.connect(conninfo, autocommit=True) as conn:
            for statement in FILL.read_text().split(";\n"):
                conn.execute(statement)
        yield conninfo


def _drop(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database if exists {NAME} with (force)")
