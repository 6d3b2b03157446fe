"""Limits that a run meets, and that no retry would move: time, locks and disk."""

import os
import subprocess
from pathlib import Path

import pytest
from chaos_helpers import assert_gone, blocked, log
from psycopg import sql
from tables import NOW, event, stored

from dbt_project.window import JOBS

pytestmark = pytest.mark.chaos


def set_limit(sway, name, value):
    """Set it for every session to come, as an operator would for a role or a database."""
    query = sql.SQL("alter database {} set {} to {}").format(
        sql.Identifier(sway.conn.info.dbname), sql.Identifier(name), sql.Literal(value)
    )
    sway.conn.execute(query)


def reset_limit(sway, name):
    query = sql.SQL("alter database {} reset {}").format(
        sql.Identifier(sway.conn.info.dbname), sql.Identifier(name)
    )
    sway.conn.execute(query)


def assert_failed_once(outcome, sway, before, reason, failed=JOBS):
    """It failed, said why, tried nothing again, and changed nothing."""
    assert outcome.exit_code == 1, outcome.stdout
    assert "again in" not in outcome.stderr
    assert reason in outcome.stdout + outcome.stderr
    rows = log(sway.conn)[-len(JOBS) :]
    assert {row["job_name"] for row in rows if row["status"] == "FAILED"} == {*failed}
    assert all(reason in row["error_text"] for row in rows if row["job_name"] in failed)
    assert all(row["finished_at"] for row in rows)
    after = stored(sway.conn)
    assert all(getattr(after, job) == getattr(before, job) for job in failed)
    assert_gone(sway.conn)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("statement_timeout", "400ms", "canceling statement due to statement timeout"),
        ("lock_timeout", "200ms", "canceling statement due to lock timeout"),
    ],
)
def test_a_timeout_in_the_models_fails_the_run_at_once(
    name, value, reason, sway, run, cli, database_url
):
    assert run().exit_code == 0
    before = stored(sway.conn)
    sway.swing()
    set_limit(sway, name, value)
    with blocked(sway.conn, database_url):
        outcome = run()
    assert_failed_once(outcome, sway, before, reason)
    reset_limit(sway, name)
    assert run().exit_code == 0
    sway.assert_built()


def test_a_timeout_before_the_models_is_told(sway, run, database_url):
    assert run().exit_code == 0
    set_limit(sway, "lock_timeout", "50ms")
    sway.conn.execute("begin")
    sway.conn.execute("lock table analytics.rollup_runs in access exclusive mode")
    outcome = run()
    sway.conn.execute("rollback")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Error: canceling statement due to lock timeout")
    assert_gone(sway.conn)
    assert [row["status"] for row in log(sway.conn)] == ["SUCCESS"] * len(JOBS)


@pytest.fixture
def spilling(sway):
    """Make every reading of the events write two megabytes of temporary files."""
    sway.conn.execute("alter table event_logs rename to raw")
    sway.conn.execute("""
        create function spill() returns boolean volatile language sql set work_mem = '64kB' as $$
            select count(*) > 0 from (select g from generate_series(1, 100000) g order by -g) as s
        $$
    """)
    sway.conn.execute("create view event_logs as select * from raw where (select spill())")
    return sway


def test_temporary_files_beyond_their_limit_fail_the_run_at_once(spilling, run):
    assert run().exit_code == 0
    before = stored(spilling.conn)
    spilling.conn.execute("delete from raw where anonymous_user_id = 'c'")
    set_limit(spilling, "temp_file_limit", "512kB")
    assert_failed_once(run(), spilling, before, "temporary file size exceeds")
    reset_limit(spilling, "temp_file_limit")
    assert run().exit_code == 0
    spilling.assert_built()


@pytest.fixture
def small_disk(maintenance, tmp_path_factory):
    """A tablespace on a disk of 128 kB; root alone can make one."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    (data,) = maintenance.execute("show data_directory").fetchone()
    folder = Path(data).parent / f"small-{os.getpid()}"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], check=True, timeout=60
    )
    owner = Path(data).stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    name = f"small_{os.getpid()}"
    maintenance.execute(f"create tablespace {name} location '{folder}'")
    yield name
    maintenance.execute(f"drop tablespace {name}")
    subprocess.run(["umount", folder], check=True, timeout=60)
    folder.rmdir()


def test_a_full_disk_fails_the_run_at_once(small_disk, sway, run):
    assert run().exit_code == 0
    before = stored(sway.conn)
    names = [event(NOW, f"{nth:04d}" * 8) for nth in range(2000)]
    sway.source.events(*names)
    set_limit(sway, "temp_tablespaces", small_disk)
    outcome = run("--job", "daily")
    assert_failed_once(outcome, sway, before, "No space left on device", failed=["daily"])
    reset_limit(sway, "temp_tablespaces")
    assert run().exit_code == 0
    sway._wanted.clear()
    sway.assert_built()
