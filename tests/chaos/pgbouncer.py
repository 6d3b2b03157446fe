"""A pgbouncer in front of a server."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

MISSING = "pgbouncer is not installed (on Debian: apt-get install pgbouncer)"


def program() -> str:
    """Where pgbouncer is. Skips the test without it, or fails it with REQUIRE_PGBOUNCER."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        (pytest.fail if os.environ.get("REQUIRE_PGBOUNCER") else pytest.skip)(MISSING)
    return found


@contextmanager
def pgbouncer(server: str, folder: Path, **settings: object) -> Iterator[int]:
    """Pool the connections to a server, given as a conninfo; yield the port to connect to.

    Clients give no password and become the conninfo's user, unless `settings` say otherwise.
    """
    given = conninfo_to_dict(server)
    port, owner = free_port(), _owner(given["host"])
    target = {name: given[name] for name in ("host", "port", "user", "password") if given.get(name)}
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "max_client_conn": 100,
        "logfile": folder / "pgbouncer.log",
    } | settings
    config = folder / "pgbouncer.ini"
    config.write_text(
        "[databases]\n"
        f"* = {' '.join(f'{name}={value}' for name, value in target.items())}\n"
        "[pgbouncer]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())
    )
    command = [program(), "-q"]
    if os.geteuid() == 0:  # which it refuses to run as
        command += ["-u", owner.pw_name]
        reachable(folder, owner)
    with subprocess.Popen([*command, config]) as process:
        try:
            wait_for_port(port, process)
            yield port
        finally:
            process.kill()


def reachable(folder: Path, owner: pwd.struct_passwd) -> None:
    """Give a folder and what is in it to another user."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)


def wait_for_port(port: int, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError(f"{process.args} ended with {process.returncode}.")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _owner(host: str) -> pwd.struct_passwd:
    """The owner of the server's socket; for a server reached by TCP, the user nobody."""
    if host.startswith("/"):
        return pwd.getpwuid(next(Path(host).glob(".s.PGSQL.*")).stat().st_uid)
    return pwd.getpwnam("nobody")


def _settings() -> list[dict[str, object]]:
    """Settings to test, as far as the installed version knows them."""
    small = [{"default_pool_size": size} for size in (2, 3, 6)]
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    told = subprocess.run([found, "-V"], capture_output=True, text=True).stdout if found else ""
    version = [int(part) for part in re.findall(r"\d+", told)[:2]]
    prepared = [{"max_prepared_statements": most} for most in (0, 100)]
    return [*small, {"pool_mode": "session"}, *(prepared if version >= [1, 21] else [])]


SETTINGS = _settings()
