"""The folder ROLLUP_HOME, with dbt's profile and the embedded database: private to its user."""

import os
import pwd
import stat
import tempfile
from pathlib import Path

from dbt_project import ROOT
from dbt_project.messages import Failure

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def folder() -> Path:
    """Return where the embedded database and dbt's profile live; ROLLUP_HOME moves it."""
    given = os.environ.get("ROLLUP_HOME", "")
    return Path(given if given.strip() else ROOT / ".rollup").absolute()


def profiles() -> Path:
    """Return the folder of dbt's profile. Raises Failure as `private_folder` does."""
    return private_folder(folder() / "profiles")


def check_dbt_folders() -> None:
    """Raise Failure unless dbt can write its log and its artifacts, which it notices late."""
    for variable, default in (("DBT_LOG_PATH", "logs"), ("DBT_TARGET_PATH", "target")):
        path = Path(os.environ.get(variable) or ROOT / default)
        try:
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
        except OSError as error:
            raise Failure(
                f"{variable} cannot be used: {error.strerror}: {path}. Set it to another folder."
            ) from None


def private_folder(path: Path) -> Path:
    """Return `path`, which is created if need be.

    Raises Failure, before anything is written, where another user could change the folder
    or exchange it: they could have a run read another profile, and send the password to them.
    """
    refuse_shared(path, {os.geteuid()})
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"ROLLUP_HOME cannot be used: {error}.") from None
    refuse_shared(path, {os.geteuid()})  # in /tmp another user may have been first
    return path


def refuse_shared(path: Path, owners: set[int] | None) -> None:
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
            refuse_shared(place.parent / os.readlink(place), last)
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
