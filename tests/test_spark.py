"""The same models on Apache Spark: every row is PostgreSQL's, after several runs on one lake."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import lake_files
import psycopg
import pytest
import spark_here
from edges import DAY, HOUR, MS, NOON, awkward
from tables import App

from dbt_project import runner
from dbt_project.database import dbt_environment
from dbt_project.window import ROLLUPS

pytestmark = [
    spark_here.required,
    # Spark's Python leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# By the columns that make a row unique; days and periods are the partitions on disk.
TABLES = {
    "daily_metric_rollups": ("day", "metric_name", "dimension_key"),
    "daily_dimension_rollups": ("day", "metric_name", "dimension_key"),
    "experiment_metric_rollups": ("day", "experiment_id", "variant_id", "metric_name"),
    "experiment_statistics": ("day", "experiment_id", "variant_id", "metric_name"),
    "experiment_catalog": ("experiment_id",),
    "experiment_health": ("experiment_id",),
    "experiment_readouts": ("experiment_id", "metric_name", "variant_id"),
    "funnel_rollups": ("day", "funnel_name", "step_name", "dimension_key"),
    "funnel_conversion_rollups": ("day", "funnel_name", "step_name", "dimension_key"),
    "retention_rollups": ("period", "cohort_start", "period_number", "dimension_key"),
    "active_user_rollups": ("day", "period", "dimension_key"),
}
# Its settings are those of a small machine; to compile code takes longer than so few rows.
SPARK_DEFAULTS = """
spark.driver.memory 1g
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.sql.sources.parallelPartitionDiscovery.threshold 1000
"""
# What a map may hold: numbers that differ only in zeros, and what looks like another type.
MAPS = (
    '{"run": 1.0}', '{"run": 1.00}', '{"run": "1.0"}', '{"run": 1e30}', '{"run": -0.0}',
    '{"run": true, "over": "true"}', '{"run": {"run": "B"}, "over": ["A"]}',
    '{"over": "{\\"a\\": 1}"}', '{"r\\"un\\\\": "A: 1, true", "": ""}',
    '{"\\u00e9\\u2028": "\\ud83d\\ude00"}', '"run"', "[1]", "null", "{}",
)  # fmt: skip
PROPERTIES = (
    '{"source": "ad"}', '{"source": 1.50}', '{"source": "1.50"}', '{"source": null}', "{}",
    '{"source": true, "other": {"source": "no"}}', '{"source": "a \\"b\\\\c"}',
)  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(scratch) -> Iterator[Path]:
    """Where Spark keeps its tables; one Spark serves the module, since Java starts slowly."""
    folder = scratch / "spark"
    folder.mkdir()
    (folder / "spark-defaults.conf").write_text(SPARK_DEFAULTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        patch.setenv("SPARK_WAREHOUSE", str(folder))
        patch.setenv("SPARK_MASTER", "local[2]")
        # Java would spend more on making code fast than so few rows take.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield folder
    from pyspark.sql import SparkSession

    SparkSession.builder.getOrCreate().stop()


class Engines:
    """Runs dbt on a PostgreSQL, and on Spark over a lake with the same source."""

    def __init__(self, conn: psycopg.Connection, lake: Path, warehouse: Path, schema: str):
        self.conn, self.lake, self.warehouse, self.schema = conn, lake, warehouse, schema
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
        lake_files.write(self.conn, self.lake)
        self.statements = []
        environment = {"LAKE_PATH": str(self.lake), "ANALYTICS_SCHEMA": self.schema}
        self._dbt([*command, "--target", "spark"], environment, callbacks=[self._on_event])

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

    def files(self) -> dict[str, set[str]]:
        """The names of the data files of each partition."""
        root = self.warehouse / "tables" / f"{self.schema}.db"
        files: dict[str, set[str]] = {}
        for file in root.glob("*/*=*/**/*.parquet"):
            files.setdefault(str(file.parent.relative_to(root)), set()).add(file.name)
        return files


BAD = ("error", "fail", "runtime error", "skipped")


def compared(table: str, key: tuple, columns: list[str], *engines: list) -> list[str]:
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
        if not alike(row[column], by_key[1][one][column])
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


def alike(one: Any, other: Any) -> bool:
    """Whether two values are equal, numbers to 1e-9."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other


@pytest.fixture
def engines(source, tmp_path, warehouse) -> Callable[[str], Engines]:
    """Both engines, with a Spark schema of the given name."""
    return lambda schema: Engines(source.conn, tmp_path / "a lake", warehouse, schema)


def world(source: App, now: datetime) -> None:
    """Fill the source with data on every edge, and with JSON of all kinds."""
    awkward(source, now)
    source.do("alter table event_logs alter anonymous_user_id drop not null")
    for column, texts in (("experiment_map", MAPS), ("properties", PROPERTIES)):
        for place, text in enumerate(texts):
            source.do(
                f"update event_logs set {column} = cast(%s as jsonb)"
                f" where abs(hashtext('{column}' || id)) %% {2 * len(texts)} = %s",
                text,
                place,
            )


def test_every_row_is_postgresqls_over_several_runs(source, engines):
    both, today = engines("spark_utc"), NOON.date()
    world(source, NOON)
    both.build(NOON, 20)
    assert both.differences() == []
    before = both.files()

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
    after = both.files()
    changed = {part for part in before.keys() | after.keys() if before.get(part) != after.get(part)}
    first = today - timedelta(days=6)
    window = {str(first + n * DAY) for n in range(7)}
    days = {part.rpartition("=")[2] for part in changed if "period=week" not in part}
    assert days == window
    weeks = {part.rpartition("=")[2] for part in changed if "period=week" in part}
    assert weeks == {str(first - first.weekday() * DAY), str(today - today.weekday() * DAY)}
    emptied = f"daily_dimension_rollups/day={gone}"
    assert emptied in before and emptied not in after

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
