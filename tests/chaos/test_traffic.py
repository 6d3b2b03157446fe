"""Overlapping runs while events arrive and people read: nothing is torn or lost."""

import psycopg
import pytest
from api_helpers import TOKEN, serving
from commands import assert_log_tells, assert_nothing_is_left, at_once, end, jobs, start, wait_until
from tables import NOW, differences, expected, stored
from traffic import traffic

from dbt_project.window import JOBS

DBT = [
    "dbt",
    "--",
    "build",
    "--vars",
    f"{{as_of: '{NOW}'}}",
    "--exclude-resource-type",
    "unit_test",
]
THREE_WAIT = """
    select count(distinct pid) >= 3 from pg_locks
    where not granted and locktype in ('relation', 'advisory')
"""
DOUBLE_INDEXES = """
    select indrelid::regclass, indkey from pg_index group by 1, 2 having count(*) > 1
"""


@pytest.fixture
def settled(lively, run):
    """A source on which every job ran once."""
    assert run().exit_code == 0
    return lively


@pytest.fixture
def served(settled, database_url):
    with serving(DATABASE_URL=database_url, DASHBOARD_TOKEN=TOKEN) as (_, port, _):
        yield port


def assert_as_from_scratch(source, url):
    """One more run, after which the tables are what the oracle makes of the source."""
    (last,) = at_once(url, jobs())
    assert last.exit_code == 0, last
    assert differences(stored(source.conn), expected(source.rows(), NOW, 14)) == []
    assert_nothing_is_left(source.conn)


def assert_one_created(runs, refusal):
    """Plain dbt may fail beside a first run that created something just now. Ours runs again."""
    ours, *others = runs
    assert ours.exit_code == 0, ours
    assert all(run.exit_code == 0 or refusal in run.stdout + run.stderr for run in others), others


@pytest.mark.chaos
@pytest.mark.parametrize("count", [2, 8])
def test_the_same_job_of_many(settled, database_url, served, count):
    with traffic(database_url, served):
        runs = at_once(database_url, *[jobs()] * count)
    assert [run.exit_code for run in runs].count(0) >= 1, runs
    assert_log_tells(settled.conn, runs)
    assert_nothing_is_left(settled.conn)
    assert_as_from_scratch(settled, database_url)


@pytest.mark.chaos
def test_other_jobs_and_windows(settled, database_url, served):
    # Experiment `over` ended on the 20th: from shorter windows its variants are rightly missing.
    given = [((), 14), (JOBS[:1], 1), (JOBS[1:2], 7), (JOBS[2:], 3), (JOBS[:2], 180),
             (JOBS[1:], 30), (JOBS[:1], 14), ((), 5)]  # fmt: skip
    with traffic(database_url):
        runs = at_once(database_url, *[jobs(*names, window_days=days) for names, days in given])
    assert [run.exit_code for run in runs].count(0) >= 1, runs
    assert_log_tells(settled.conn, runs)
    assert_nothing_is_left(settled.conn)
    settled.do("drop schema analytics cascade")
    assert_as_from_scratch(settled, database_url)


@pytest.mark.chaos
def test_plain_dbt_beside_runs(settled, database_url, served):
    with traffic(database_url, served):
        for select in ("daily", "funnel", "experiment"):
            beside = [*DBT, "--select", select]
            runs = at_once(database_url, jobs(select), beside, beside)
            assert [run.exit_code for run in runs] == [0, 0, 0], runs
    assert_nothing_is_left(settled.conn)
    assert_as_from_scratch(settled, database_url)


@pytest.mark.chaos
def test_first_runs_of_every_job(lively, database_url):
    with traffic(database_url):
        runs = at_once(database_url, *[jobs(*names) for names in (*((job,) for job in JOBS), ())])
    assert [run.exit_code for run in runs].count(0) >= 1, runs
    assert_log_tells(lively.conn, runs)
    assert_nothing_is_left(lively.conn)


@pytest.mark.chaos
@pytest.mark.parametrize("job", JOBS)
def test_plain_dbt_beside_the_first_run(lively, database_url, job):
    beside = [*DBT, "--select", job]
    with psycopg.connect(database_url) as blocker:
        # All of them see that there is no table before one creates it.
        blocker.execute("lock table event_logs")
        processes = [start(database_url, *command) for command in (jobs(job), beside, beside)]
        wait_until(lambda: lively.conn.execute(THREE_WAIT).fetchone()[0])
    runs = [end(process) for process in processes]
    assert_one_created(runs, "already exists")
    wanted = expected(lively.rows(), NOW, 14)._asdict()[job]
    assert stored(lively.conn)._asdict()[job].keys() == wanted.keys()
    assert lively.conn.execute(DOUBLE_INDEXES).fetchall() == []
    assert_nothing_is_left(lively.conn)
    assert_as_from_scratch(lively, database_url)


@pytest.mark.chaos
def test_plain_dbt_creates_the_schema_beside_itself(lively, database_url):
    with psycopg.connect(database_url) as blocker:
        blocker.execute("lock table pg_namespace in share mode")
        commands = [jobs("daily"), *([*DBT, "--select", "daily"] for _ in range(2))]
        processes = [start(database_url, *command) for command in commands]
        wait_until(lambda: lively.conn.execute(THREE_WAIT).fetchone()[0])
    assert_one_created([end(process) for process in processes], "pg_namespace_nspname_index")
    assert_as_from_scratch(lively, database_url)
