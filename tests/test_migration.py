"""The guide `docs/migration.md`, followed word by word on tables such as Prisma makes them."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import tables
from psycopg import sql
from psycopg.types.json import Jsonb

from api import create_app
from api.settings import Settings
from dbt_project import ROOT
from dbt_project.database import parse_url

GUIDE = (ROOT / "docs/migration.md").read_text()
KEPT, SOURCE_KEEPS = 60, 20  # days that the old tables and the source hold

# As Prisma makes them: ids and defaults that only its client fills in, times without a zone,
# an enum, unique indexes.
PRISMA = """
    create type {schema}."RollupRunStatus" as enum ('RUNNING', 'SUCCESS', 'FAILED');
    create table {schema}.daily_metric_rollups (
        id text primary key, day timestamp(3) not null, metric_name text not null,
        dimension_key text not null default 'overall', value double precision not null,
        dimensions jsonb, computed_at timestamp(3) not null default current_timestamp
    );
    create unique index "daily_metric_rollups_day_metric_name_dimension_key_key"
        on {schema}.daily_metric_rollups (day, metric_name, dimension_key);
    create table {schema}.experiment_metric_rollups (
        id text primary key, day timestamp(3) not null, experiment_id text not null,
        variant_id text not null, metric_name text not null, value double precision not null,
        dimensions jsonb, computed_at timestamp(3) not null default current_timestamp
    );
    create unique index on {schema}.experiment_metric_rollups
        (day, experiment_id, variant_id, metric_name);
    create table {schema}.funnel_rollups (
        id text primary key, day timestamp(3) not null, funnel_name text not null,
        step_name text not null, dimension_key text not null default 'overall',
        experiment_id text, variant_id text, users_count integer not null,
        events_count integer not null, computed_at timestamp(3) not null default current_timestamp
    );
    create unique index on {schema}.funnel_rollups (day, funnel_name, step_name, dimension_key);
    create table {schema}.rollup_runs (
        id text primary key, job_name text not null,
        status {schema}."RollupRunStatus" not null default 'RUNNING',
        started_at timestamp(3) not null default current_timestamp, finished_at timestamp(3),
        window_start timestamp(3) not null, window_end timestamp(3) not null,
        rows_written integer not null default 0, ignored_count integer not null default 0,
        error_text text
    );
"""
# As somebody may have made them by hand: other number types, nothing unique, more columns.
LOOSE = """
    create table {schema}.daily_metric_rollups (
        id bigserial, day date, metric_name varchar(80), dimension_key varchar(200), value numeric,
        dimensions jsonb, computed_at timestamp(3), updated_at timestamp(3) default now()
    );
    create table {schema}.experiment_metric_rollups (
        id bigserial, day date, experiment_id text, variant_id text, metric_name text,
        value numeric, dimensions jsonb, computed_at timestamp(3)
    );
    create table {schema}.funnel_rollups (
        id bigserial, day date, funnel_name text, step_name text, dimension_key text,
        experiment_id text, variant_id text, users_count bigint, events_count bigint,
        computed_at timestamp(3)
    );
    create table {schema}.rollup_runs (
        id uuid default gen_random_uuid(), job_name text, status text, started_at timestamp(3),
        finished_at timestamp(3), window_start timestamp(3), window_end timestamp(3),
        rows_written integer, ignored_count integer, error_text text
    );
"""
_ids = count(1)
OLD_TABLES = (*tables.ROLLUPS, "rollup_runs")


class Old:
    """The old system's tables in one schema, with all that it knew."""

    def __init__(self, source, schema, ddl):
        self.conn, self.schema = source.conn, schema
        source.do(f"create schema if not exists {schema}")
        source.do(ddl.format(schema=schema))
        self.has_client_ids = "id text primary key" in ddl

    def insert(self, table, columns, *values):
        names = columns.split()
        if self.has_client_ids:
            names, values = [*names, "id"], [*values, f"c{next(_ids)}"]
        query = sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(self.schema, table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join([sql.Placeholder()] * len(names)),
        )
        self.conn.execute(query, values)

    def daily(self, *values):
        columns = "day metric_name dimension_key value dimensions computed_at"
        self.insert("daily_metric_rollups", columns, *values)

    def experiment(self, *values):
        columns = "day experiment_id variant_id metric_name value dimensions computed_at"
        self.insert("experiment_metric_rollups", columns, *values)

    def funnel(self, *values):
        columns = (
            "day funnel_name step_name dimension_key"
            " experiment_id variant_id users_count events_count computed_at"
        )
        self.insert("funnel_rollups", columns, *values)

    def run(self, *values):
        columns = "job_name status started_at window_start window_end rows_written ignored_count"
        self.insert("rollup_runs", columns, *values)

    def rows(self):
        return {
            name: self.conn.execute(
                f"select t::text from {self.schema}.{name} as t order by 1"
            ).fetchall()
            for name in OLD_TABLES
        }


def steps(number, schema):
    """The code blocks of a section, as (language, text), with its words about schemas heeded."""
    (section,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", GUIDE, re.M | re.S)
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S):
        if schema == "analytics":
            text = text.replace("analytics.", "rollups.").replace("public.", "analytics.")
        yield language, text


@pytest.fixture
def follow(source, cli):
    """Do what a section says; return the rows of its last statement."""

    def do(number, schema):
        rows = None
        for language, text in steps(number, schema):
            if language == "sql":
                cursor = source.conn.execute(text)
                rows = cursor.fetchall() if cursor.description else None
            for command in re.findall(r"^\$ python cli.py (.*)$", text, re.M):
                outcome = cli(*shlex.split(command))
                assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        return rows

    return do


@pytest.fixture
def now():
    return datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture(
    params=[
        pytest.param(("public", LOOSE), id="public", marks=pytest.mark.chaos),
        pytest.param(("analytics", PRISMA), id="analytics"),
    ]
)
def old(request, source, now):
    """A source of twenty days, and what the old worker made of these and of forty before."""
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    source.experiment("x", ("A", "B"), start_at=noon - timedelta(days=KEPT))
    for ago in range(1, SOURCE_KEEPS + 1):
        user, moment = f"u{ago % 7}", noon - timedelta(days=ago)
        source.event(moment, "app_opened", user, mapping={"x": "AB"[ago % 2]})
        source.event(moment + timedelta(minutes=5), "session_submitted", user)
    for number in range(7):
        source.assign(f"u{number}", "x", "AB"[number % 2], noon - timedelta(days=number + 1))

    schema, ddl = request.param
    old = Old(source, schema, ddl)
    known = tables.expected(source.rows(), now, SOURCE_KEEPS + 1)
    for key, (value, dimensions, _) in known.daily.items():
        old.daily(*key, value, dimensions and Jsonb(dimensions), now)
    for key, (value, dimensions, _) in known.experiment.items():
        old.experiment(*key, value, Jsonb(dimensions), now)
    for key, (*values, _) in known.funnel.items():
        old.funnel(*key, *values, now)
    for ago in range(SOURCE_KEEPS + 1, KEPT):
        day, then = now.date() - timedelta(days=ago), now - timedelta(days=ago)
        old.daily(day, "dau", "overall", 1000 + ago, Jsonb(None), then)
        old.experiment(day, "gone", "A", "users_assigned", ago, None, then)
        old.funnel(day, "core_journey", "active_open", "overall", None, None, ago, 2 * ago, then)
    for status in ("SUCCESS", "FAILED", "RUNNING"):
        old.run("daily", status, noon, noon, noon, 7, 1)
    if ddl == LOOSE:  # nothing kept it from writing a row twice
        for value, age in ((1.5, 90), (2.5, 30), (3.5, 80)):
            old.daily(day, "new_users", None, value, None, now - timedelta(days=age))
    return old


def test_the_guide_moves_everything_over(source, cli, follow, old, now, monkeypatch, database_url):
    as_it_was = old.rows()
    ours = "analytics"
    if old.schema == ours:
        # Whoever does not read the guide is stopped, and told.
        for command in (("--window-days", 1), ("init",), ("init", "--dry-run")):
            refused = cli(*command)
            assert (refused.exit_code, refused.stdout) == (1, "")
            assert "Another system made these tables in schema analytics: " in refused.stderr
            assert "docs/migration.md" in refused.stderr
        assert " rollup_runs (column " in refused.stderr
        assert old.rows() == as_it_was
        ours = "rollups"
        assert f"export ANALYTICS_SCHEMA={ours}" in GUIDE
        monkeypatch.setenv("ANALYTICS_SCHEMA", ours)

    for number in (2, 3, 4, 5):
        follow(number, old.schema)
    fresh = tables.expected(source.rows(), now, SOURCE_KEEPS + 1)
    found = tables.stored(source.conn, ours)
    oldest_known = now.date() - timedelta(days=SOURCE_KEEPS)
    yesterday = now.date() - timedelta(days=1)
    latest = [
        {key: row for key, row in rows.items() if oldest_known <= key[0] <= yesterday}
        for rows in (*found, *fresh)
    ]
    assert tables.differences(tables.Rollups(*latest[:3]), tables.Rollups(*latest[3:])) == []
    for ago in (SOURCE_KEEPS + 1, SOURCE_KEEPS + 2, 31, KEPT - 1):
        day = now.date() - timedelta(days=ago)
        assert found.daily[day, "dau", "overall"] == (1000 + ago, None, True)
        assert found.experiment[day, "gone", "A", "users_assigned"] == (ago, None, True)
        opened = found.funnel[day, "core_journey", "active_open", "overall"]
        assert opened == (None, None, ago, 2 * ago, True)
    twice = (now.date() - timedelta(days=KEPT - 1), "new_users", "overall")
    assert found.daily.get(twice) == (None if old.has_client_ids else (2.5, None, True))

    # Again, and in the runs to come, nothing of it changes.
    before = tables.image(source.conn, ours, where=f"day < '{oldest_known}'")
    follow(4, old.schema)
    assert cli().exit_code == 0
    assert tables.image(source.conn, ours, where=f"day < '{oldest_known}'") == before
    runs = source.conn.execute(
        f"select status, rows_written, ignored_count, started_at from {ours}.rollup_runs"
        " where as_of is null order by status"
    ).fetchall()
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    assert runs == [("FAILED", 7, 1, noon), ("SUCCESS", 7, 1, noon)]

    assert follow(6, old.schema) == []
    change = (f"update {old.schema}.daily_metric_rollups set value = value + %s"
              f" where day = '{yesterday}' and metric_name = 'dau'")  # fmt: skip
    source.do(change, 1)
    ((job, day, what, is_now, was),) = follow(6, old.schema)
    assert (job, day, what, was) == ("daily", yesterday, "dau overall", is_now + 1)
    source.do(change, -1)

    settings = Settings(parse_url(database_url), token="t", schema=ours)
    flask = create_app(settings, now=lambda: now.replace(tzinfo=UTC))
    day = now.date() - timedelta(days=KEPT - 1)
    body = flask.test_client().get(
        f"/v1/metrics/daily?from={day}&to={day}", headers={"x-dashboard-token": "t"}
    )
    assert body.json["days"][0]["metrics"]["dau"] == 1000 + KEPT - 1
    flask.extensions["database"].close()

    follow(9, old.schema)
    assert old.rows() == as_it_was
