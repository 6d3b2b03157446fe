"""Starts the API under gunicorn.

Gunicorn, because it needs nothing compiled, lets requests finish on SIGTERM, replaces a worker
that dies, and its threads wait for the database without holding each other up: nearly all of an
answer's time is spent there.
"""

import os
import resource
import signal
import subprocess
import sys
from urllib.parse import quote, urlencode

import click
from psycopg.conninfo import conninfo_to_dict

from api.settings import from_environment, threads, workers
from dbt_project import ROOT
from dbt_project.database import database

GRACE_S = 30
# Longer than the minute that load balancers keep an idle connection.
KEEP_ALIVE_S = 75
CONNECTIONS = 1000
OTHER_FILES = 100  # and sockets of the pool, and the interpreter's own


def serve(host: str, port: int, processes: int | None) -> int:
    """Serve until a signal says to stop; return the exit status.

    With DATABASE_URL this process becomes gunicorn. Without it, it stays, to hold the embedded
    database open for as long as gunicorn runs.
    """
    if os.environ.get("DATABASE_URL", "").strip():
        command = _command(host, port, processes)
        os.execv(sys.executable, command)
    with database() as conninfo:
        os.environ["DATABASE_URL"] = "postgresql://?" + urlencode(
            conninfo_to_dict(conninfo), quote_via=quote
        )
        return _watch(_command(host, port, processes))


def _command(host: str, port: int, processes: int | None) -> list[str]:
    settings = from_environment()
    if not settings.token:
        click.echo("DASHBOARD_TOKEN is not set: endpoints that need it will answer 503.", err=True)
    options = {
        "worker-class": "api.worker.Worker",
        "logger-class": "api.server_log.Log",
        "workers": processes or workers(),
        "threads": threads(),
        "worker-connections": _connections(),
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "graceful-timeout": GRACE_S,
        "keep-alive": KEEP_ALIVE_S,
        "limit-request-line": 8190,
        # A client may not say below which path the API is mounted.
        "forwarder-headers": "",
        "pythonpath": ROOT,
        "log-level": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    click.echo(f"Serving on http://{options['bind']} with {options['workers']} workers.", err=True)
    return [sys.executable, "-m", "gunicorn", *arguments, "--no-control-socket", "api:create_app()"]


def _connections() -> int:
    """Return how many clients a worker may hold: files, too, take their part of its limit."""
    return max(min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_FILES), 1)


def _watch(command: list[str]) -> int:
    # In a session of its own Ctrl-C does not reach it, which would cut its requests off.
    process = subprocess.Popen(command, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: process.terminate())
    return process.wait()
