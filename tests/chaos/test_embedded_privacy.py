"""ROLLUP_HOME and the embedded database: private to one user, and started wherever that works."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from commands import wait_until
from psycopg.conninfo import conninfo_to_dict

from dbt_project import ROOT, embedded
from dbt_project.messages import Failure
from dbt_project.url import parse_url

NOBODY = 65534


ODD = "a b,c'd\"e$HOME;f%20g#h\\i\nj@k?l`m&n\xfc\udcff" + 90 * "x"


@pytest.fixture(params=["plain", ODD], ids=["plain", "odd"])
def embedded_server(request, folder, monkeypatch):
    """An embedded server; the odd one below a path, in a locale and for a libpq that break it."""
    if request.param == ODD:
        for name in ("LC_ALL", "PGHOST", "PGPORT", "PGOPTIONS", "PGDATA"):
            monkeypatch.setenv(name, "xx_XX.UTF-8")
    home = folder / request.param
    monkeypatch.setenv("ROLLUP_HOME", str(home))
    before = os.umask(0)
    try:
        with embedded.server() as uri:
            yield home, parse_url(uri)
    finally:
        os.umask(before)


def succeeds_as(user: int, action: Callable[[], object]) -> bool:
    """Whether another user of this machine can do it."""
    child = os.fork()
    if not child:
        status = 2
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            action()
            status = 0
        except (psycopg.OperationalError, Failure):
            status = 1
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1)
    return code == 0


def test_nobody_else_gets_in(embedded_server):
    home, conninfo = embedded_server
    with psycopg.connect(conninfo) as conn:
        rules = conn.execute("select type, auth_method from pg_hba_file_rules").fetchall()
        assert rules == [("local", "peer")]
        assert conn.execute("show listen_addresses").fetchone() == ("",)
    data = home / "postgres"
    pid = int((data / "postmaster.pid").read_bytes().split()[0])
    assert not psutil.Process(pid).net_connections("inet")
    assert data.stat().st_mode & 0o077 == 0
    assert home.stat().st_mode & 0o022 == 0
    if os.geteuid() == 0:  # only root can become someone else
        assert not succeeds_as(NOBODY, lambda: psycopg.connect(conninfo).close())
    else:
        as_another = conninfo_to_dict(conninfo) | {"user": "nobody"}
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**as_another)


def runs() -> None:
    with embedded.server() as uri, psycopg.connect(uri) as conn:
        query = "select datlocale from pg_database where datname = 'postgres'"
        assert conn.execute(query).fetchone() == ("C.UTF-8",)


def test_the_last_to_leave_stops_the_server_and_a_dead_one_is_forgotten(folder, monkeypatch):
    monkeypatch.setenv("ROLLUP_HOME", str(folder))
    pid_file = folder / "postgres/postmaster.pid"
    with embedded.server():
        pid = pid_file.read_text()
        runs()
        assert pid_file.read_text() == pid
    for left_over in (f"{os.getpid()}\n", "", None):
        assert not pid_file.exists()
        if left_over is not None:
            pid_file.write_text(left_over)  # the number is another process's by now
        runs()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_first_start_that_is_stopped_can_be_repeated(folder, monkeypatch, number):
    monkeypatch.setenv("ROLLUP_HOME", str(folder / "home"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with subprocess.Popen(
        [sys.executable, ROOT / "cli.py", "runs"], stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: [*folder.glob("home/postgres.new-*/PG_VERSION")])
        process.send_signal(number)
        told = process.communicate()[1]
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert told.count("\n") == (number == signal.SIGINT)
    runs()
    assert not [*folder.glob("home/postgres.new-*")]


def prepare(home: Path, version: str) -> None:
    home.mkdir()
    (home / "postgres").mkdir()
    (home / "postgres/PG_VERSION").write_text(version)


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    yield
    subprocess.run(["umount", folder], check=True)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts, and gives files away")


@AS_ROOT
def test_what_keeps_the_server_from_starting_is_told(folder, cli, monkeypatch):
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("ROLLUP_HOME", str(folder / "home"))

    def told() -> str:
        outcome = cli("runs")
        assert outcome.exit_code == 1 and outcome.stderr.count("\n") == 1
        return outcome.stderr

    prepare(folder / "home", "16\n")
    assert "is of PostgreSQL 16, and this is 18" in told()
    (folder / "home/postgres/PG_VERSION").rename(folder / "home/postgres/base")
    assert "home/postgres is not a complete database" in told()
    shutil.rmtree(folder / "home")
    with disk(folder, "size=9m,mode=700"):
        assert "No space left on device" in told()
    with disk(folder, "ro,mode=700"):
        assert "ROLLUP_HOME cannot be used: [Errno 30] Read-only file system" in told()


@AS_ROOT
def test_another_user_of_the_machine_has_a_server_too(folder, monkeypatch):
    monkeypatch.setenv("ROLLUP_HOME", str(folder / "nobody's"))
    folder.chmod(0o711)
    theirs(folder / "nobody's")
    assert succeeds_as(NOBODY, runs)
    without_account = 4242
    os.chown(folder / "nobody's", without_account, without_account)
    with pytest.raises(KeyError):
        pwd.getpwuid(without_account)
    assert not succeeds_as(without_account, runs)


def shared(path):
    path.mkdir()
    path.chmod(0o770)


def theirs(path):
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)


def link(path, owner, target):
    path.symlink_to(target)
    os.lchown(path, owner, owner)


KINDS = {
    "the folder is somebody else's": (lambda home: theirs(home), "belongs to nobody"),
    "others can write it": (lambda home: shared(home), "can be changed by others (mode 770)"),
    "it is a symlink of somebody else": (
        lambda home: (home.with_name("good").mkdir(0o700), link(home, NOBODY, "good")),
        "belongs to nobody",
    ),
    "our symlink leads to a folder of somebody else": (
        lambda home: (theirs(home.with_name("bad")), link(home, os.geteuid(), "bad")),
        "/bad belongs to nobody",
    ),
    "others can exchange it": (
        lambda home: (home.mkdir(0o700), home.parent.chmod(0o777)),
        "can be changed by others (mode 777)",
    ),
    "a folder above is somebody else's": (
        lambda home: (home.mkdir(0o700), os.chown(home.parent, NOBODY, NOBODY)),
        "belongs to nobody",
    ),
    "a folder above, which is missing, would be made in one of others": (
        lambda home: home.parent.chmod(0o777),
        "can be changed by others",
    ),
    "dbt's folder in it is somebody else's": (
        lambda home: (home.mkdir(0o700), theirs(home / "profiles")),
        "/profiles belongs to nobody",
    ),
    "the data are somebody else's": (
        lambda home: (home.mkdir(0o700), theirs(home / "postgres")),
        "/postgres belongs to nobody",
    ),
    "symlinks in a circle": (lambda home: link(home, os.geteuid(), home.name), "cannot be used"),
    "a file": (lambda home: home.write_text(""), "cannot be used"),
}


@AS_ROOT
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_others_can_change_is_refused(kind, folder, cli, source, monkeypatch):
    spoil, told = KINDS[kind]
    home = folder / "above" / "home"
    home.parent.mkdir()
    monkeypatch.setenv("ROLLUP_HOME", str(home))
    spoil(home)
    before = {*folder.rglob("*"), home / "profiles"}  # that may be made
    if "data" in kind:
        monkeypatch.delenv("DATABASE_URL")
    outcome = cli("--json")
    assert outcome.exit_code == 1 and told in outcome.summary["error"]
    assert outcome.stderr.count("\n") == 1 and "ROLLUP_HOME" in outcome.stderr
    assert {*folder.rglob("*"), home / "profiles"} == before
    assert source.conn.execute("select to_regnamespace('analytics')").fetchone() == (None,)


@AS_ROOT
def test_a_folder_of_ones_own_serves_below_tmp_and_through_symlinks(folder, cli, monkeypatch):
    (folder / "shared").mkdir()
    (folder / "shared").chmod(0o1777)
    link(folder / "way", os.geteuid(), "shared")
    monkeypatch.setenv("ROLLUP_HOME", str(folder / "way" / "new" / "home"))
    assert cli("dbt", "--", "--version").exit_code == 0
    made = folder / "shared/new/home/profiles/profiles.yml"
    assert made.exists() and made.parent.parent.stat().st_mode & 0o077 == 0
