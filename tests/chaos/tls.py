"""A PostgreSQL that requires TLS and a password."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from pgbouncer import free_port, reachable

MISSING = "A PostgreSQL with TLS is not installed (on Debian: apt-get install postgresql)"
PASSWORD = "p@ss:w/rd%25 ü"


class Guarded(NamedTuple):
    """The port, and two CA certificates: the one that signed the server's, and another."""

    port: int
    ca: Path
    wrong_ca: Path


def programs() -> Path:
    """The folder of initdb. Skips the test without it, or fails it with REQUIRE_TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or not shutil.which("openssl"):
        (pytest.fail if os.environ.get("REQUIRE_TLS") else pytest.skip)(MISSING)
    return found[-1].parent


@contextmanager
def guarded(folder: Path) -> Iterator[Guarded]:
    """Make certificates for localhost and a server of the superuser `owner`; run it."""
    bin, port = programs(), free_port()
    for name in ("ca", "wrong_ca"):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key",
            "-out", folder / f"{name}.crt")  # fmt: skip
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "server.key",
        "-out", folder / "server.csr")  # fmt: skip
    run("openssl", "x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.crt",
        "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2", "-copy_extensions", "copy",
        "-out", folder / "server.crt")  # fmt: skip
    (folder / "password").write_text(PASSWORD)
    (folder / "server.key").chmod(0o600)
    as_server: tuple[str, ...] = ()
    if os.geteuid() == 0:  # which it refuses to run as
        reachable(folder, pwd.getpwnam("postgres"))
        as_server = ("runuser", "-u", "postgres", "--")
    data = folder / "data"
    run(*as_server, bin / "initdb", "-D", data, "-U", "owner", "--encoding=UTF8",
        "--auth=scram-sha-256", f"--pwfile={folder / 'password'}")  # fmt: skip
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    options = (
        f"-c listen_addresses=localhost -p {port} -k '' -c fsync=off -c ssl=on"
        f" -c ssl_cert_file={folder / 'server.crt'} -c ssl_key_file={folder / 'server.key'}"
    )
    log = folder / "log"
    run(*as_server, bin / "pg_ctl", "-D", data, "-l", log, "-o", options, "-W", "start")
    try:
        yield Guarded(port, folder / "ca.crt", folder / "wrong_ca.crt")
    finally:
        run(*as_server, bin / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def run(*command: object) -> None:
    # A server that inherits a pipe would keep it open.
    subprocess.run(
        [*map(str, command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
