"""The same models on Apache Spark: every row is PostgreSQL's, after several runs on one lake."""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import spark_here
from edges import DAY, HOUR, MS, NOON, awkward, odd_json
from tables import App, alike

from dbt_project import runner
from dbt_project.database import dbt_environment
from dbt_project.publish import rollups
from dbt_project.window import ROLLUPS

pytestmark = [pytest.mark.chaos, *spark_here.in_process]

TABLES = {rollup.name: rollup.key for job in ROLLUPS for rollup in rollups(job)}
BAD = ("error", "fail", "runtime error", "skipped")


@pytest.fixture(scope="module")
def warehouse(scratch) -> Iterator[Path]:
    """Where Spark keeps its tables; one Spark serves the module, since Java starts slowly."""
    with pytest.MonkeyPatch.context() as patch, spark_here.small(scratch / "spark", patch):
        yield scratch / "spark"


class Engines:
    """Runs dbt on a PostgreSQL, and on Spark over a lake with the same source."""

    def __init__(self, conn: psycopg.Connection, export: Callable[..., Any], schema: str):
        self.conn, self.export, self.schema = conn, export, schema
        self.statements: list[str] = []

    def build(self, now: datetime, days: int, *, tests: bool = False) -> None:
        """Run all jobs on both as of `now`."""
        variables = {
            "as_of": f"{now}+00:00",
            "window_days": days,
            "dimensions": ["platform", "app_version", "properties.source"],
        }
        kinds = ["unit_test", *([] if tests else ["test"])]
        command = ["build", "--vars", json.dumps(variables), "--exclude-resource-type", *kinds]
        environment = dbt_environment(self.conn)
        self._dbt([*command], environment)
        exported = self.export("--since", now.date() - timedelta(days=185))
        assert exported.exit_code == 0, exported.stderr
        self.statements = []
        environment = {"ANALYTICS_SCHEMA": self.schema}
        self._dbt([*command, "--target", "spark"], environment, callbacks=[self._on_event])

    def refused(self, model: str) -> str:
        """Build a model alone on Spark, which must fail; return what it says."""
        command = ["run", "--select", model, "--target", "spark", "--log-level", "none"]
        outcome = runner.dbt(command, {"ANALYTICS_SCHEMA": self.schema})
        (said,) = (one.message for one in outcome.result.results if one.status in BAD)
        return said

    def _on_event(self, event: Any) -> None:
        if event.info.name == "SQLQuery":
            self.statements.append(" ".join(event.data.sql.split()))

    def _dbt(self, command: list[str], environment: dict[str, str], **options: Any) -> None:
        outcome = runner.dbt([*command, "--log-level", "none"], environment, **options)
        results = outcome.result.results if outcome.result else ()
        failed = [f"{one.node.name}: {one.message}" for one in results if one.status in BAD]
        assert outcome.success and not failed, (outcome.exception, failed)

    def differences(self) -> list[str]:
        """Name the rows that only one of the engines has, and the values that differ."""
        from pyspark.sql import SparkSession

        found, session = [], SparkSession.builder.getOrCreate()
        for table, key in TABLES.items():
            frame = session.table(f"{self.schema}.{table}")
            columns = [name for name in frame.columns if name != "computed_at"]
            instants = {name for name, kind in frame.dtypes if kind == "timestamp"}
            spark = frame.selectExpr(
                *(f"unix_micros({c}) as {c}" if c in instants else c for c in columns)
            ).collect()
            selected = (
                f"cast(extract(epoch from {c}) * 1000000 as bigint) as {c}" if c in instants else c
                for c in columns
            )
            query = f"select {', '.join(selected)} from analytics.{table}"
            found += compared(table, key, columns, spark, self.conn.execute(query).fetchall())
        return found


def compared(table: str, key: list[str], columns: list[str], *engines: list) -> list[str]:
    """Compare rows of Spark and of PostgreSQL in both directions."""
    spark, postgres = (
        [{c: plain(value) for c, value in zip(columns, row, strict=True)} for row in rows]
        for rows in engines
    )
    by_key = [{tuple(row[c] for c in key): row for row in rows} for rows in (spark, postgres)]
    found = []
    if [len(rows) for rows in (spark, postgres)] != [len(rows) for rows in by_key]:
        found.append(f"{table} has a key twice")
    found += [f"{table} of Spark only: {one}" for one in by_key[0].keys() - by_key[1].keys()]
    found += [f"{table} of PostgreSQL only: {one}" for one in by_key[1].keys() - by_key[0].keys()]
    found += [
        f"{table} {one}: {column} is {row[column]!r}, not {by_key[1][one][column]!r}"
        for one, row in by_key[0].items()
        if one in by_key[1]
        for column in columns
        if not alike(row[column], by_key[1][one][column], rel_tol=1e-9, abs_tol=1e-9)
    ]
    return found


def plain(value: Any) -> Any:
    """A value as both engines give it: JSON as objects, and numbers as floats."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value if isinstance(value, str | bool | date | None) else float(value)


@pytest.fixture
def engines(source, cli, tmp_path, warehouse, monkeypatch) -> Callable[[str], Engines]:
    """Both engines, with a Spark schema of the given name."""
    monkeypatch.setenv("LAKE_PATH", str(tmp_path / "a lake"))
    return lambda schema: Engines(source.conn, partial(cli, "lake", "export"), schema)


def world(source: App, now: datetime) -> None:
    """Fill the source with data on every edge, and with JSON of all kinds."""
    awkward(source, now)
    odd_json(source)


def test_every_row_is_postgresqls_over_several_runs(source, engines, warehouse):
    both, today = engines("spark_utc"), NOON.date()
    world(source, NOON)
    both.build(NOON, 20)
    assert both.differences() == []
    before = spark_here.partitions(warehouse, both.schema)

    # Late events, a user who is no longer new, a day without events, and one experiment less.
    late, gone = NOON + 3 * HOUR, today - 2 * DAY
    for days, user in ((1, "user 1"), (3, "late"), (6, "late"), (4, None)):
        source.event(NOON - days * DAY, "session_submitted", user, received=NOON + HOUR)
    source.event(NOON - 100 * DAY, user="journey 0:00:00", received=NOON + HOUR)
    source.do("delete from event_logs where occurred_at >= %s and occurred_at < %s",
              gone, gone + DAY)  # fmt: skip
    source.do("update experiments set status = 'DRAFT' where experiment_id = 'run'")
    both.build(late, 7, tests=True)
    assert both.differences() == []
    written = [text for text in both.statements if "insert overwrite table" in text]
    assert [table for table in TABLES if not any(f".{table} " in text for text in written)] == []
    after = spark_here.partitions(warehouse, both.schema)
    changed = {part for part in before.keys() | after.keys() if before.get(part) != after.get(part)}
    first = today - timedelta(days=6)
    window = {str(first + n * DAY) for n in range(7)}
    days = {part.rpartition("=")[2] for part in changed if "period=week" not in part}
    assert days == window
    weeks = {part.rpartition("=")[2] for part in changed if "period=week" in part}
    assert weeks == {str(first - first.weekday() * DAY), str(today - today.weekday() * DAY)}
    emptied = f"daily_dimension_rollups/day={gone}"
    assert emptied in before and emptied not in after
    said = both.refused("funnel_conversion_rollups")
    assert "int_funnel_entries has no rows of this run" in said

    # Everything of the last days goes, experiments too.
    source.do("delete from event_logs where occurred_at >= %s", NOON - 2 * DAY - MS)
    source.do("update experiments set status = 'DRAFT'")
    both.build(late + HOUR, 3)
    assert both.differences() == []


def test_days_are_those_of_a_zone(source, engines, monkeypatch):
    monkeypatch.setenv("ROLLUP_TIMEZONE", "America/Havana")
    monkeypatch.setenv("KEY_EVENT", "workout_started, o'clock \\,exercise_logged")
    now = datetime(2025, 11, 3, 4, 30)  # clocks were set back from 01:00 to midnight
    both = engines("spark_havana")
    world(source, now)
    source.event(now - HOUR, "o'clock \\", "clock")
    both.build(now, 14)
    assert both.differences() == []
    source.event(now - 2 * DAY, "o'clock \\", "clock")
    both.build(now + DAY, 4)
    assert both.differences() == []


def test_only_jobs_with_a_source_have_rows(source, engines):
    """Without the tables of experiments, the others are as they would be."""
    both = engines("spark_alone")
    world(source, NOON)
    source.do("drop table assignments, experiments, experiment_variants")
    both.build(NOON, 3)
    assert both.differences() == []
    assert {*ROLLUPS.values()} < {*TABLES}
