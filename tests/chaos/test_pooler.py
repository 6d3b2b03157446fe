"""Everything through pgbouncer in transaction mode."""

import json
import signal
from contextlib import ExitStack

import pytest
from commands import assert_log_tells, assert_nothing_is_left, at_once, end, jobs, stuck
from pgbouncer import SETTINGS, pgbouncer
from tables import NOW, differences, expected, stored

TEMPORARY = "select relname from pg_class where relpersistence = 't' and relkind = 'r'"
STATUSES = "select job_name, status from analytics.rollup_runs order by started_at, job_name"
ALL = ("daily", "experiment", "funnel")


@pytest.fixture
def pooled(server, database_url, source, tmp_path):
    """Start a pgbouncer with these settings; return the URL of the test's database behind it."""
    with ExitStack() as stack:

        def start(**settings):
            port = stack.enter_context(pgbouncer(server, tmp_path, **settings))
            return f"postgresql://postgres@127.0.0.1:{port}/{source.conn.info.dbname}"

        yield start


def assert_all_is_well(source):
    assert differences(stored(source.conn), expected(source.rows(), NOW, 14)) == []
    assert_nothing_is_left(source.conn)
    assert source.conn.execute(TEMPORARY).fetchall() == []


def test_a_run_through_a_pooler_is_a_run(lively, run, pooled, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", pooled())
    assert run().exit_code == 0
    assert run().exit_code == 0
    assert_all_is_well(lively)


@pytest.mark.chaos
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_setting_of_the_pooler_will_do(lively, pooled, settings):
    url = pooled(**settings)
    for _ in range(2):
        (done,) = at_once(url, jobs())
        assert done.exit_code == 0, done
    assert_all_is_well(lively)


@pytest.mark.chaos
def test_every_command_works_through_a_pooler(lively, pooled):
    url = pooled(default_pool_size=4)
    dbt = ["dbt", "--", "build", "--vars", f"{{as_of: '{NOW}'}}"]
    for command in (jobs(), dbt, [*dbt, "--select", "daily"], ["runs"]):
        (done,) = at_once(url, command)
        assert done.exit_code == 0, done
    assert_all_is_well(lively)
    (listed,) = at_once(url, ["runs", "--json"])
    assert {run["status"] for run in json.loads(listed.stdout)} == {"SUCCESS"}


@pytest.mark.chaos
def test_the_demo_runs_through_a_pooler(source, pooled):
    source.do("drop table event_logs, assignments, experiments, experiment_variants")
    (done,) = at_once(pooled(default_pool_size=4), ["demo"])
    assert done.exit_code == 0, done
    assert_nothing_is_left(source.conn)
    assert source.conn.execute(TEMPORARY).fetchall() == []


@pytest.mark.chaos
def test_a_file_is_loaded_through_a_pooler(source, pooled, tmp_path):
    file = tmp_path / "events.csv"
    file.write_text("user,event,occurred_at\nu,app_opened,2026-11-22T10:00:00Z\n")
    url = pooled(default_pool_size=2)
    loaded, ran = [at_once(url, command)[0] for command in (["load", file], jobs())]
    assert (loaded.exit_code, ran.exit_code) == (0, 0), (loaded, ran)
    assert stored(source.conn).daily[NOW.date().replace(day=22), "dau", "overall"][0] == 1


@pytest.mark.chaos
def test_a_run_killed_behind_a_pooler_is_taken_over(lively, database_url, pooled):
    url = pooled(default_pool_size=8)
    with stuck(database_url, url, *jobs()) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (done,) = at_once(url, jobs())
    assert done.exit_code == 0, done
    assert lively.conn.execute(STATUSES).fetchall() == [
        *((job, "FAILED") for job in ALL),
        *((job, "SUCCESS") for job in ALL),
    ]
    assert_all_is_well(lively)


@pytest.mark.chaos
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_a_run_stopped_behind_a_pooler_ends_at_once(lively, database_url, pooled, number):
    url = pooled(default_pool_size=8)
    with stuck(database_url, url, *jobs()) as process:
        process.send_signal(number)
        done = end(process, 60)
        assert done.exit_code == 130, done
    assert lively.conn.execute(STATUSES).fetchall() == [(job, "FAILED") for job in ALL]
    assert_nothing_is_left(lively.conn)
    (again,) = at_once(url, jobs())
    assert again.exit_code == 0, again
    assert_all_is_well(lively)


@pytest.mark.chaos
def test_runs_that_meet_in_a_small_pool_wait_for_it(lively, pooled):
    url = pooled(default_pool_size=5)
    runs = at_once(url, *[jobs(ALL[nth % 3]) for nth in range(8)])
    assert sorted(run.exit_code for run in runs)[:3] == [0, 0, 0]
    assert_log_tells(lively.conn, runs)
    assert_all_is_well(lively)
