"""A PostgreSQL that comes as a Python wheel, kept in the project's folder `.rollup`."""

import json
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbt_project import ROOT

POSTGRES_VERSION = 18
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def folder() -> Path:
    """Return where the embedded database and dbt's profile live; ROLLUP_HOME moves it."""
    return Path(os.environ.get("ROLLUP_HOME") or ROOT / ".rollup")


@contextmanager
def server(name: str = "postgres") -> Iterator[str]:
    """Yield the URI of the running server `name`; the last process that uses it stops it."""
    import psutil  # these two are needed only here, and take time to import

    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR the server's socket goes below /tmp, which is fine.
        warnings.simplefilter("ignore")
        from dbt_project.private_server import started

    data = folder() / name
    private_folder(data.parent)
    _forget_dead_users(data / ".handle_pids.json", psutil.pid_exists)
    with started(data, POSTGRES_VERSION) as running:
        yield running.get_uri()


def private_folder(path: Path) -> None:
    """Make a folder, or see to it that nobody else can change what is in it."""
    path.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS_WRITE:
        path.chmod(mode & ~OTHERS_WRITE)


def _forget_dead_users(path: Path, is_alive) -> None:
    """Drop killed processes from the server's list of users, or it would never be stopped."""
    if path.exists():
        path.write_text(json.dumps([pid for pid in json.loads(path.read_text()) if is_alive(pid)]))
