"""Everything through pgbouncer in transaction mode."""

import json
import signal
from contextlib import ExitStack
from datetime import UTC

import pytest
from api_helpers import TOKEN, fetch, serving
from commands import assert_log_tells, assert_nothing_is_left, at_once, end, jobs, stuck
from pgbouncer import SETTINGS, pgbouncer
from tables import NOW, differences, expected, stored
from traffic import traffic

from api import create_app
from api.settings import Settings
from dbt_project import run_log
from dbt_project.database import connect
from dbt_project.url import parse_url
from dbt_project.window import JOBS

TEMPORARY = "select relname from pg_class where relpersistence = 't' and relkind = 'r'"
STATUSES = "select job_name, status from analytics.rollup_runs order by started_at, job_name"
DAILY_ROW = """(values (
    date '2026-11-22', 'dau', 'overall', 5.0::float8, null::jsonb, true, now()
)) as row (day, metric_name, dimension_key, value, dimensions, is_final, computed_at)"""
WITH_DAU = ("daily", "daily?format=csv", "summary")
# What a server connection would keep for the pooler's next client.
LEFT_BEHIND = """
    select pid, state, query from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'
"""


@pytest.fixture
def pooled(server, database_url, source, folder):
    """Start a pgbouncer with these settings; return the URL of the test's database behind it."""
    with ExitStack() as stack:

        def start(**settings):
            port = stack.enter_context(pgbouncer(server, folder, **settings))
            return f"postgresql://postgres@127.0.0.1:{port}/{source.conn.info.dbname}"

        yield start


def assert_all_is_well(source):
    assert differences(stored(source.conn), expected(source.rows(), NOW, 14)) == []
    assert_nothing_is_left(source.conn)
    assert source.conn.execute(TEMPORARY).fetchall() == []


def test_a_run_works_through_a_pooler(lively, run, pooled, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", pooled())
    assert run().exit_code == 0
    assert run().exit_code == 0
    assert_all_is_well(lively)


@pytest.mark.parametrize("path", ["daily", "experiments", "funnels", "daily?format=csv", "summary"])
def test_the_api_answers_through_a_pooler(source, pooled, path):
    conninfo = parse_url(pooled(default_pool_size=1))
    with connect(conninfo, autocommit=True) as conn:
        run_log.create(conn, "analytics")
    source.do("create table analytics.daily_metric_rollups as select * from " + DAILY_ROW)
    app = create_app(Settings(conninfo, token=TOKEN), now=lambda: NOW.replace(tzinfo=UTC))
    try:
        for _ in range(3):
            answer = fetch(app.test_client(), f"/v1/metrics/{path}")
            assert answer.status_code == 200, answer.text
            assert ('"dau"' in answer.text or "dau," in answer.text) == (path in WITH_DAU)
    finally:
        app.extensions["database"].close()
    assert source.conn.execute(LEFT_BEHIND).fetchall() == []


@pytest.mark.chaos
def test_runs_and_the_api_share_a_small_pool(lively, database_url, pooled):
    url = pooled(default_pool_size=6)
    assert at_once(url, jobs())[0].exit_code == 0
    with (
        serving(DATABASE_URL=url, DASHBOARD_TOKEN=TOKEN) as (_, port, _),
        traffic(database_url, port),
    ):
        runs = at_once(url, jobs("daily"), jobs("funnel"), jobs("experiment"), jobs())
    # All three single jobs, or some of them where the last run took a lock first.
    assert 0 in [run.exit_code for run in runs], runs
    assert_log_tells(lively.conn, runs)
    assert at_once(url, jobs())[0].exit_code == 0
    assert_all_is_well(lively)


@pytest.mark.chaos
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_run_works_with_every_setting_of_the_pooler(lively, pooled, settings):
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
    loaded, ran = [at_once(url, command)[0] for command in (["load", "--into-app", file], jobs())]
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
        *((job, "FAILED") for job in JOBS),
        *((job, "SUCCESS") for job in JOBS),
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
    assert lively.conn.execute(STATUSES).fetchall() == [(job, "FAILED") for job in JOBS]
    assert_nothing_is_left(lively.conn)
    (again,) = at_once(url, jobs())
    assert again.exit_code == 0, again
    assert_all_is_well(lively)


@pytest.mark.chaos
def test_a_pool_of_one_is_an_error(lively, pooled):
    (done,) = at_once(pooled(default_pool_size=1, query_wait_timeout=5), jobs())
    assert done.exit_code == 1
    assert "query_wait_timeout" in done.stderr and "Traceback" not in done.stderr, done
    assert not any(stored(lively.conn))


@pytest.mark.chaos
def test_runs_that_meet_in_a_small_pool_wait_for_it(lively, pooled):
    url = pooled(default_pool_size=5)
    runs = at_once(url, *[jobs(JOBS[nth % 4]) for nth in range(8)])
    assert sorted(run.exit_code for run in runs)[:3] == [0, 0, 0]
    assert_log_tells(lively.conn, runs)
    assert_all_is_well(lively)
