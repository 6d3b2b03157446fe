"""The embedded database is for the user who started it, on a machine that others use too."""

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
