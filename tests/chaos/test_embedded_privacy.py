"""ROLLUP_HOME and the embedded database are for one user of a machine that others use too."""

import os
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbt_project import embedded
from dbt_project.database import parse_url

NOBODY = 65534


@pytest.fixture(params=["short", "too long for a socket"])
def embedded_server(request, monkeypatch):
    """An embedded server; where its folder's path is long, its socket lies elsewhere."""
    with tempfile.TemporaryDirectory(prefix="rollup-") as folder:
        home = Path(folder) / ("x" * 120 if request.param.startswith("too") else "x")
        monkeypatch.setenv("ROLLUP_HOME", str(home))
        before = os.umask(0)
        try:
            with embedded.server() as uri:
                yield home, parse_url(uri)
        finally:
            os.umask(before)


def connects_as(user: int, conninfo: str) -> bool:
    """Whether another user of this machine gets in."""
    child = os.fork()
    if not child:
        status = 2
        try:
            os.setgid(user)
            os.setuid(user)
            psycopg.connect(conninfo).close()
            status = 0
        except psycopg.OperationalError:
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
        (data,) = conn.execute("show data_directory").fetchone()
    pid = int((Path(data) / "postmaster.pid").read_text().split()[0])
    assert not psutil.Process(pid).net_connections("inet")
    assert Path(data).stat().st_mode & 0o077 == 0
    assert home.stat().st_mode & 0o022 == 0
    if os.geteuid() == 0:  # only root can become someone else
        assert not connects_as(NOBODY, conninfo)
    else:
        as_another = conninfo_to_dict(conninfo) | {"user": "nobody"}
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**as_another)


def test_another_process_shares_the_server_and_makes_nothing_again(embedded_server):
    _, conninfo = embedded_server
    with embedded.server() as again:
        assert parse_url(again) == conninfo
    psycopg.connect(conninfo).close()


def shared(path):
    path.mkdir()
    path.chmod(0o770)


def theirs(path):
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)


def link(path, owner, target):
    path.symlink_to(target)
    os.lchown(path, owner, owner)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
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
