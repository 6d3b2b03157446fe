"""Follow `docs/extending.md` in a copy of the project."""

import csv
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC

import documents
import pytest
from tables import NOW, image, stored
from test_metrics_document import Queries

from api import create_app
from api.settings import Settings
from dbt_project import ROOT, demo
from dbt_project.url import parse_url

PAGE = documents.read("docs/extending.md")
SEEDS = {
    "A metric of experiments": "seeds/experiment/experiment_metrics.csv",
    "A funnel": "seeds/funnel/funnel_steps.csv",
}
WINDOW = ("--window-days", "30")
CLOCK = {"as_of": f"{NOW}"}
# In place of `make test`, which takes minutes, run the two tests that compare every metric.
METRIC_TESTS = (
    "tests/test_metrics_document.py::test_queries_return_the_stored_rows[now2-9]",
    "tests/test_against_oracle.py::test_every_row_is_the_oracles[now2-1]",
)
SLOW = ("make test", "python cli.py dbt -- build --select daily")  # only in `make chaos`


@pytest.fixture
def app(source):
    """The tables of a small demo app, as of `NOW`."""
    source.do("drop table event_logs, assignments, experiments, experiment_variants")
    demo.fill(source.conn, "public", NOW.replace(tzinfo=UTC), users=150, days=20)
    return source


@pytest.fixture
def follow(tmp_path, server, database_url):
    """Do what a section says, in a copy of the project."""
    copy = tmp_path / "copy"
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", *ignored))
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "TEST_DATABASE_URL": server,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
    }

    def run(*command, **options):
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, **options
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def command(line):
        """A command of the page, as of `NOW`."""
        if line == "make test":
            return [sys.executable, "-m", "pytest", "-q", *METRIC_TESTS]
        python, *arguments = shlex.split(line)
        assert python == "python"
        clock = ["--vars", str(CLOCK)] if "dbt" in arguments else ["--as-of", str(NOW)]
        return [sys.executable, *arguments, *clock]

    def steps(heading, but=()):
        for block in PAGE.blocks:
            if heading not in block.headings:
                continue
            if block.language == "diff":
                run("git", "apply", input=block.text)
            elif block.language == "csv":
                with (copy / SEEDS[heading]).open("a") as seed:
                    seed.write(block.text)
            elif block.language == "console":
                for line in block.text.replace("$ ", "").splitlines():
                    if line not in but:
                        run(*command(line))

    return steps


@pytest.fixture
def ask(database_url):
    """Request a path of the API, as of `NOW`."""
    now = NOW.replace(tzinfo=UTC)
    client = create_app(Settings(parse_url(database_url), token="t"), now=lambda: now).test_client()
    return lambda path: client.get(path, headers={"x-dashboard-token": "t"}).json


@pytest.mark.parametrize(
    "but", [SLOW, pytest.param((), marks=pytest.mark.chaos)], ids=["quick", "whole"]
)
def test_adding_a_metric(app, run, follow, ask, but):
    assert run(*WINDOW).exit_code == 0
    before, as_it_was = stored(app.conn), image(app.conn, but="computed_at")
    follow("A metric", but)
    after = stored(app.conn)

    added = {key[0]: row for key, row in after.daily.items() if key not in before.daily}
    assert {key: row for key, row in after.daily.items() if key in before.daily} == before.daily
    assert len(added) == 30 and len(after.daily) == len(before.daily) + len(added)
    for day, (value, dimensions, is_final) in added.items():
        sessions, users = (
            after.daily[day, name, "overall"][0] for name in ("sessions_submitted", "dau")
        )
        assert value == (sessions / users if users else 0)
        assert (dimensions, is_final) == (None, day < NOW.date())
    assert len({value for value, *_ in added.values()}) > 15
    others = {"funnel_rollups", "experiment_metric_rollups", "experiment_catalog"}
    now_is = image(app.conn, but="computed_at")
    assert {table: now_is[table] for table in others} == {t: as_it_was[t] for t in others}

    (day,) = ask("/v1/metrics/daily?window_days=1")["days"]
    assert day["metrics"]["sessions_per_active_user"] == pytest.approx(added[NOW.date()][0])
    assert day["is_final"]["sessions_per_active_user"] is False


def test_adding_a_metric_of_experiments(app, run, follow):
    def rows(condition):
        query = f"""
            select row(day, experiment_id, variant_id, metric_name, users, mean, m2, pre_mean)::text
            from analytics.experiment_statistics where {condition} order by 1
        """
        return app.conn.execute(query).fetchall()

    assert run("--job", "experiment", *WINDOW).exit_code == 0
    before, rollups = rows("true"), image(app.conn, but="computed_at")["experiment_metric_rollups"]
    follow("A metric of experiments")
    name = PAGE.under("A metric of experiments", "csv")[0].partition(",")[0]
    assert rows(f"metric_name <> '{name}'") == before
    assert len(rows(f"metric_name = '{name}'")) * 4 == len(before)
    assert image(app.conn, but="computed_at")["experiment_metric_rollups"] == rollups

    query = f"""
        select
            sum(users * mean)::int, sum(users * denominator_mean)::int,
            (
                select array_agg(count order by name) from (
                    select event_name as name, count(*)::int
                    from assignments inner join event_logs using (anonymous_user_id)
                    where
                        experiment_id = 'exp_first_workout'
                        and occurred_at - assigned_at between interval '0' and interval '7 days'
                        and event_name in ('exercise_logged', 'session_submitted')
                    group by 1
                ) as counts
            )
        from analytics.experiment_statistics
        where metric_name = '{name}' and experiment_id = 'exp_first_workout'
    """
    ((exercises, sessions, expected),) = app.conn.execute(query).fetchall()
    assert [exercises, sessions] == expected and sessions > 50
    query = f"select count(*) from analytics.experiment_readouts where metric_name = '{name}'"
    assert app.conn.execute(query).fetchone() == (7,)


def test_adding_a_funnel(app, run, follow, ask):
    assert run(*WINDOW).exit_code == 0
    before = image(app.conn, but="computed_at")
    follow("A funnel")
    after = image(app.conn, but="computed_at")

    known = set(before["funnel_rollups"])
    assert known < set(after["funnel_rollups"])
    ours = {"funnel_rollups", "funnel_conversion_rollups"}
    assert {t: after[t] for t in after.keys() - ours} == {
        t: before[t] for t in before.keys() - ours
    }
    ((block, *_),) = [PAGE.under("A funnel", "csv")]
    lines = list(csv.reader(block.splitlines()))
    steps = list(dict.fromkeys((funnel, step) for funnel, _, step, *_ in lines))
    rows = {k: row for k, row in stored(app.conn).funnel.items() if k[1] == steps[0][0]}
    overall = {key[:3]: row[2:4] for key, row in rows.items() if key[3] == "overall"}
    assert len(overall) == 30 * len(steps) and len(rows) > len(overall)

    queries = Queries(app.conn, as_of=NOW)
    for (day, funnel, step), (users, events) in overall.items():
        at = {"day": day, "funnel_name": funnel, "step_name": step}
        assert queries.rows("Overall", **at) == [{"users_count": users, "events_count": events}]
    assert sum(users for users, _ in overall.values()) > 100

    found = ask(f"/v1/metrics/funnels?window_days=1&funnel_name={steps[0][0]}")["rows"]
    order = {row["step_name"]: row["step"] for row in found}
    assert order == {step: nth for nth, (_, step) in enumerate(steps, start=1)}


def test_adding_a_dimension(app, run, follow):
    tables = ("daily_dimension", "funnel_conversion", "retention", "active_user")

    def rows(table, condition):
        table = f"analytics.{table}_rollups"
        query = (
            f"select to_jsonb(t) - 'computed_at' from {table} as t where dimension_key {condition}"
        )
        return [row for (row,) in app.conn.execute(f"{query} order by 1")]

    assert run(*WINDOW).exit_code == 0
    before = [rows(table, "is not null") for table in tables]
    follow("A dimension")
    assert [rows(table, "not like 'properties%'") for table in tables] == before
    keys = {f"properties.source={value}" for value in ("ads", "friend", "organic", "(none)")}
    for table in tables:
        assert {row["dimension_key"] for row in rows(table, "like 'properties%'")} == keys
    query = """
        select count(distinct anonymous_user_id) from event_logs
        where
            properties ->> 'source' = 'ads'
            and occurred_at > '2026-11-17' and occurred_at < '2026-11-24'
    """
    ((users,),) = app.conn.execute(query).fetchall()
    assert users > 10
    found = {row["day"]: row["users_count"] for row in rows("active_user", "like '%=ads'")
             if row["period"] == "week"}  # fmt: skip
    assert found[f"{NOW.date()}"] == users
