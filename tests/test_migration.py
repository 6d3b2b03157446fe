"""Follow `docs/migration.md` on tables such as Prisma makes."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import tables
from psycopg.types.json import Jsonb

from api import create_app
from api.settings import Settings
from dbt_project import ROOT
from dbt_project.url import parse_url

GUIDE = (ROOT / "docs/migration.md").read_text()
KEPT, COMPUTED = 60, 20  # days of old rows: in all, and those that its worker made of events

# Prisma's: ids that only its client fills in, times without a zone, an enum, unique indexes.
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
        step_name text not null, dimension_key text not null default 'overall', experiment_id text,
        variant_id text, users_count integer not null, events_count integer not null,
        computed_at timestamp(3) not null default current_timestamp
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
# Made by hand: other number types, more columns, nothing unique.
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
RUNS = "job_name, status, started_at, window_start, window_end, rows_written, ignored_count"
COLUMNS = {"rollup_runs": RUNS} | {
    table: f"{key}, {rest}".replace("is_final", "computed_at")
    for table, (key, rest) in tables.ROLLUPS.items()
    if table in ("daily_metric_rollups", "experiment_metric_rollups", "funnel_rollups")
}


class Old:
    """The old system's tables in one schema."""

    def __init__(self, source, schema, ddl):
        self.conn, self.schema = source.conn, schema
        source.do(f"create schema if not exists {schema}")
        source.do(ddl.format(schema=schema))
        self.has_client_ids = "id text primary key" in ddl

    def insert(self, table, *values):
        columns = COLUMNS[table]
        if self.has_client_ids:
            columns, values = f"{columns}, id", (*values, f"c{next(_ids)}")
        places = ", ".join(["%s"] * len(values))
        query = f"insert into {self.schema}.{table} ({columns}) values ({places})"
        self.conn.execute(query, values)

    def rows(self):
        query = f"select t::text from {self.schema}.{{}} as t order by 1"
        return [self.conn.execute(query.format(name)).fetchall() for name in COLUMNS]


def steps(number, schema):
    """The code blocks of a section, as (language, text), in the schemas that the guide says."""
    (section,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", GUIDE, re.M | re.S)
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S):
        if schema == "analytics":
            text = text.replace("analytics.", "rollups.").replace("public.", "analytics.")
        yield language, text


@pytest.fixture
def follow(source, cli):
    """Do what a section says; return the rows of its last statement."""

    def do(number, schema, window_days=14):
        rows = None
        for language, text in steps(number, schema):
            if language == "sql":
                cursor = source.conn.execute(text)
                while cursor.nextset():
                    pass
                rows = cursor.fetchall() if cursor.description else None
            for command in re.findall(r"^\$ python cli.py (.*)$", text, re.M):
                command = command.replace("--window-days 14", f"--window-days {window_days}")
                outcome = cli(*shlex.split(command))
                assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        return rows

    return do


@pytest.fixture
def now():
    return datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture(
    params=[
        pytest.param(("public", LOOSE, 10), id="source keeps less than a window"),
        pytest.param(("analytics", PRISMA, COMPUTED), id="old tables in our schema"),
    ]
)
def old(request, source, now):
    """A source, and what the old worker made of it day by day, before the source was purged."""
    schema, ddl, days_kept = request.param
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    source.experiment("x", ("A", "B:1"), start_at=noon - timedelta(days=KEPT))
    source.experiment("ended", ("A",), status="ENDED", end_at=noon - timedelta(days=2 * KEPT))
    for ago in range(1, COMPUTED + 1):
        user, moment = f"u{ago % 7}", noon - timedelta(days=ago)
        source.event(moment, "app_opened", user, mapping={"x": ("A", "B:1")[ago % 2]})
        source.event(moment + timedelta(minutes=5), "session_submitted", user)
    for number in range(7):
        source.assign(f"u{number}", "x", ("A", "B:1")[number % 2], noon - timedelta(days=number))

    known = tables.expected(source.rows(), now, COMPUTED + 1)
    known = tables.NOTHING._replace(
        daily=known.daily, experiment=known.experiment, funnel=known.funnel
    )
    known.experiment[now.date() - timedelta(days=1), "ended", "A", "users_assigned"] = 3, None, True
    for ago in range(COMPUTED + 1, KEPT):
        day = now.date() - timedelta(days=ago)
        known.daily[day, "dau", "overall"] = 1000 + ago, None, True
        known.experiment[day, "gone", "A", "users_assigned"] = ago, None, True
        known.funnel[day, "core_journey", "active_open", "overall"] = None, None, ago, 2 * ago, True

    old = Old(source, schema, ddl)
    for key, (value, dimensions, _) in known.daily.items():
        old.insert("daily_metric_rollups", *key, value, dimensions and Jsonb(dimensions), now)
    for key, (value, dimensions, _) in known.experiment.items():
        old.insert("experiment_metric_rollups", *key, value, Jsonb(dimensions), now)
    for (*key, dimension), (*values, _) in known.funnel.items():
        old.insert("funnel_rollups", *key, dimension.replace("%3A", ":"), *values, now)
    if ddl == LOOSE:  # which allows duplicate rows; the newest counts
        for value, age in ((1.5, 90), (2.5, 30), (3.5, 80)):
            then = now - timedelta(days=age)
            old.insert("daily_metric_rollups", day, "new_users", None, value, None, then)
        known.daily[day, "new_users", "overall"] = 2.5, None, True
    midnight = noon.replace(hour=0)
    window = midnight - timedelta(days=13), midnight + timedelta(days=1)
    for status in ("SUCCESS", "FAILED", "RUNNING"):
        old.insert("rollup_runs", "daily", status, noon, *window, 7, 1)
    source.do("delete from event_logs where occurred_at < %s", midnight - timedelta(days=days_kept))
    old.known, old.cutover = known, now.date() if days_kept < 14 else window[0].date()
    return old


def split(rollups, day):
    """The rows of the days before a day; those from it on, and those without a day."""
    after = tables.of_days(rollups, lambda its: its >= day)
    return (
        tables.of_days(rollups, lambda its: its < day),
        after._replace(readouts=rollups.readouts, health=rollups.health),
    )


def test_migration_guide(source, cli, follow, old, now, monkeypatch, database_url):
    as_it_was = old.rows()
    ours = "analytics"
    if old.schema == ours:
        # Without the guide the commands stop with a message.
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

    follow(2, old.schema)
    ((cutover, window_days),) = follow(3, old.schema)
    assert (cutover, window_days) == (old.cutover, (now.date() - old.cutover).days + 1)
    follow(4, old.schema, window_days)
    follow(5, old.schema)

    copied, computed = split(tables.stored(source.conn, ours), cutover)
    fresh = tables.expected(source.rows(), now, window_days)
    assert tables.differences(computed, fresh) == []
    assert tables.differences(copied, split(old.known, cutover)[0]) == []

    yesterday = now.date() - timedelta(days=1)
    ended = ("old only", "experiment", yesterday, "ended A users_assigned", None, 3)
    compared = cutover <= yesterday
    assert follow(6, old.schema) == ([ended] if compared else [])
    source.do("update event_logs set event_name = 'renamed' where occurred_at >= %s", yesterday)
    assert cli("--window-days", window_days).exit_code == 0
    if compared:
        assert {(where, what) for where, _, _, what, *_ in follow(6, old.schema)} >= {
            ("new only", "event_volume_by_name renamed"),
            ("old only", "event_volume_by_name app_opened"),
            ("both", "core_journey active_open users"),
        }

    # A repeated copy restores the days before the cutover, and brings nothing back after it.
    before = tables.image(source.conn, ours, where=f"day >= '{cutover}'")
    source.do(f"update {ours}.daily_metric_rollups set value = 188 where day < %s", cutover)
    source.do(f"delete from {ours}.funnel_rollups where day < %s", cutover)
    follow(5, old.schema)
    assert tables.image(source.conn, ours, where=f"day >= '{cutover}'") == before
    again, _ = split(tables.stored(source.conn, ours), cutover)
    assert tables.differences(again, copied) == []

    # Later runs do not change final rows that were copied, also where the source is purged.
    before = tables.image(source.conn, ours, where=f"day < '{cutover}' and is_final")
    assert cli().exit_code == 0
    after = tables.image(source.conn, ours, where=f"day < '{cutover}' and is_final")
    new = tables.ROLLUPS.keys() - COLUMNS.keys()
    assert after | {table: [] for table in new} == before  # of which nothing was copied
    runs = source.conn.execute(
        f"select status, rows_written, ignored_count, started_at from {ours}.rollup_runs"
        " where as_of is null order by status"
    ).fetchall()
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    assert runs == [("FAILED", 7, 1, noon), ("SUCCESS", 7, 1, noon)]

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
