"""Serve the API with waitress.

Waitress reads requests and sends responses in one loop, and gives a request to a thread only when
it is complete. Unsent parts of a response wait in a buffer, from 1 MB on in a temporary file. So a
client that sends or reads slowly, or not at all, holds no thread and no database connection. One
process is enough: PostgreSQL does most of the work of a response.
"""

import errno
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click
import waitress

from api import create_app
from api.access_log import log_to_stderr
from api.settings import BadSetting, Settings, from_environment, threads
from dbt_project.database import database

GRACE_S = 30
# Longer than the minute that load balancers keep an idle connection.
IDLE_S = 75
CONNECTIONS = 1000
OTHER_FILES = 100  # for the pool, buffers and the interpreter
HEAD_BYTES, BODY_BYTES = 32 * 1024, 64 * 1024
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(host: str, port: int) -> int:
    """Serve until a signal arrives; return the exit status.

    `host` may be `unix:/path/of/a/socket`. Raises BadSetting where it cannot be listened on.
    """
    for number in SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    from_environment("")  # report bad settings before a database is started
    listener, address = listen(host, port)
    with database() as conninfo:
        _serve(from_environment(conninfo), listener, address)
    return 0


def _serve(settings: Settings, listener: socket.socket, address: str) -> None:
    app = create_app(settings)
    log_to_stderr("waitress", logging.WARNING, settings.secrets)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.create_server(
        app,
        sockets=[listener],
        threads=threads(),
        channel_timeout=IDLE_S,
        cleanup_interval=5,
        connection_limit=_connections(),
        asyncore_use_poll=True,  # select() is limited to 1,024 files
        max_request_header_size=HEAD_BYTES,
        max_request_body_size=BODY_BYTES,
        # Above the mark a thread waits, without a timeout, for a client that does not read.
        outbuf_high_watermark=sys.maxsize,
        ident=None,
    )
    _stop_on_signals(server)
    if not settings.token:
        click.echo("DASHBOARD_TOKEN is not set: endpoints that need it will answer 503.", err=True)
    click.echo(f"Serving on {address}", err=True)
    server.run()
    app.extensions["database"].close()


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """Return the socket to listen on, and its address to print. Raises BadSetting."""
    if is_unix := host.startswith("unix:"):
        place = address = host
    else:
        host = host.removeprefix("[").removesuffix("]")  # as in a URL
        place, address = f"{host}:{port}", f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        return _unix_socket(host.removeprefix("unix:")) if is_unix else _tcp(host, port), address
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of the host name is too long
        code = getattr(error, "errno", None) or 0
        reason = os.strerror(code) if code > 0 else error.args[-1]
        raise BadSetting(f"Cannot listen on {place}: {reason}.") from None


def _tcp(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address[:2], family=family, dualstack_ipv6=both)


def _unix_socket(path: str) -> socket.socket:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, "")
    if Path(path).is_socket():  # left by a server that is gone
        os.unlink(path)
    elif Path(path).exists():
        raise OSError("a file that is not a socket is there")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        os.chmod(path, 0o660)
    except OSError:
        listener.close()
        raise
    return listener


def _connections() -> int:
    """Return the limit of connections, within the process's limit of open files."""
    return max(min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_FILES), 1)


def _stop_on_signals(server: Any) -> None:
    """On a signal stop accepting clients, and exit once all responses are sent or after GRACE_S.

    A second signal exits at once.
    """

    def drain() -> None:
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and any(
            client.requests or client.writable() for client in [*server.active_channels.values()]
        ):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    def stop(*_: object) -> None:
        if not server.accepting:
            sys.exit(0)
        server.accepting = False
        threading.Thread(target=drain, daemon=True).start()

    for number in SIGNALS:
        signal.signal(number, stop)
