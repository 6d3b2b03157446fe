"""Helpers that fill the app's four tables and compare the rollups.

Every datetime here is naive and means UTC, as in the oracle.
"""

import csv
import json
import math
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import oracle
import psycopg
import readouts_oracle
import users_oracle
from psycopg import sql
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_loads
from readouts_oracle import Metric, Statistic
from users_oracle import Cell, Conversion, Funnel

from dbt_project import ROOT
from dbt_project.source import TABLES

NOW = datetime(2026, 11, 23, 15, 30)  # a Monday
TODAY = NOW.date()
GUARDED = "rollup_guarded"  # the server's only role that needs a password
CANARY = "c4nary"
PASSWORD = f"p@ss/w:rd-{CANARY} 100%?#&'\"\\ {{{{ x }}}}"  # of that role
SEED = ROOT / "seeds/funnel/funnel_steps.csv"
METRICS = ROOT / "seeds/experiment/experiment_metrics.csv"

# table: (key columns, the oracle's other columns)
ROLLUPS = {
    "daily_metric_rollups": ("day, metric_name, dimension_key", "value, dimensions, is_final"),
    "experiment_metric_rollups": (
        "day, experiment_id, variant_id, metric_name",
        "value, dimensions, is_final",
    ),
    "funnel_rollups": (
        "day, funnel_name, step_name, dimension_key",
        "experiment_id, variant_id, users_count, events_count, is_final",
    ),
    "experiment_statistics": (
        "day, experiment_id, variant_id, metric_name",
        ", ".join(Statistic._fields),
    ),
    "daily_dimension_rollups": (
        "day, metric_name, dimension_key",
        "value, dimensions, is_final",
    ),
    "funnel_conversion_rollups": (
        "day, funnel_name, step_name, dimension_key",
        ", ".join(Conversion._fields),
    ),
    "retention_rollups": (
        "period, cohort_start, period_number, dimension_key",
        ", ".join(Cell._fields),
    ),
    "active_user_rollups": ("day, period, dimension_key", "users_count, is_final"),
}
SHAPES: dict[str, Callable[[Iterable], tuple]] = {
    "experiment_statistics": Statistic._make,
    "funnel_conversion_rollups": Conversion._make,
    "retention_rollups": Cell._make,
}
DIMENSIONS = ["platform", "app_version"]
# table: key columns. Each run rewrites these whole.
REWRITTEN = {
    "experiment_readouts": ("experiment_id", "metric_name", "variant_id"),
    "experiment_health": ("experiment_id",),
}

_numbers = count(1)


class Rollups(NamedTuple):
    """The tables, each in the shape that the oracles give."""

    daily: dict[oracle.Key, Any]
    experiment: dict[oracle.Key, Any]
    funnel: dict[oracle.Key, Any]
    statistics: dict[oracle.Key, Any]
    dimensions: dict[oracle.Key, Any]
    conversions: dict[oracle.Key, Any]
    retention: dict[oracle.Key, Any]
    active: dict[oracle.Key, Any]
    readouts: dict[Any, oracle.Row]
    health: dict[Any, oracle.Row]


NOTHING = Rollups(*({} for _ in Rollups._fields))
DAILY = Rollups._fields[: len(ROLLUPS)]
JOB_OF = dict.fromkeys(Rollups._fields, "experiment") | {
    "daily": "daily", "dimensions": "daily", "funnel": "funnel", "conversions": "funnel",
    "retention": "retention", "active": "retention",
}  # fmt: skip


class _UtcLoader(Loader):
    """Read both timestamp types as naive UTC; what Python cannot hold becomes max or min."""

    def load(self, data: Any) -> datetime:
        text = bytes(data).decode()
        if text.startswith("-") or text.endswith("BC"):
            return datetime.min
        try:
            return datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            return datetime.max


def connect(url: str) -> psycopg.Connection:
    """Open a connection in autocommit, whose values are those of the oracle."""
    conn = psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC")
    for name in ("timestamp", "timestamptz"):
        conn.adapters.register_loader(name, _UtcLoader)
    set_json_loads(partial(json.loads, parse_float=Decimal), conn)
    return conn


def url_of(conninfo: str, **changes: str) -> str:
    """Return a conninfo, with changes, as a URL."""
    given = conninfo_to_dict(conninfo, **changes)

    def part(name: str, before: str = "", after: str = "") -> str:
        return before + quote(str(given.pop(name)), safe="") + after if given.get(name) else ""

    password = part("password", ":")
    place = part("user", after=f"{password}@") + part("host") + part("port", ":")
    return f"postgresql://{place}/{part('dbname')}?{urlencode(given, quote_via=quote)}"


def event(
    at: Any,
    name: str | None = "app_opened",
    user: str | None = "u",
    *,
    received: Any = None,
    mapping: Any = None,
    platform: str | None = "ios",
    version: str | None = None,
    properties: Any = None,
) -> dict[str, Any]:
    """A row of event_logs. `at` and `received` may be text that PostgreSQL reads."""
    return {
        "id": f"event {next(_numbers)}",
        "anonymous_user_id": user,
        "session_id": "s",
        "install_id": "i",
        "platform": platform,
        "app_version": version,
        "event_name": name,
        "occurred_at": at,
        "received_at": at if received is None else received,
        "properties": Jsonb({} if properties is None else properties),
        "experiment_map": None if mapping is None else Jsonb(mapping),
    }


class App:
    """The source in one database, whose tables a test fills and changes."""

    def __init__(self, conn: psycopg.Connection):
        self.conn = conn

    def events(self, *rows: dict[str, Any]) -> None:
        self._insert("event_logs", rows)

    def event(self, *values: Any, **named: Any) -> None:
        self.events(event(*values, **named))

    def assign(
        self, user: str | None, experiment: str = "x", variant: str | None = "A", at: Any = NOW
    ) -> None:
        row = {"anonymous_user_id": user, "experiment_id": experiment, "variant_id": variant}
        self._insert("assignments", [row | {"id": str(next(_numbers)), "assigned_at": at}])

    def experiment(
        self,
        name: str = "x",
        variants: Iterable[str | None] = ("A", "B"),
        *,
        status: str = "RUNNING",
        start_at: Any = None,
        end_at: Any = None,
        weight: Any = 0.5,
        controls: int = 1,
    ) -> None:
        """Add an experiment; `weight` may be one for each variant."""
        row = {"experiment_id": name, "status": status, "start_at": start_at, "end_at": end_at}
        self._insert("experiments", [row])
        self._insert(
            "experiment_variants",
            [
                {
                    "id": str(next(_numbers)),
                    "experiment_id": name,
                    "variant_id": variant,
                    "variant_name": f"name of {variant}",
                    "is_control": nth < controls,
                    "weight": weight[nth] if isinstance(weight, tuple) else weight,
                }
                for nth, variant in enumerate(variants)
            ],
        )

    def do(self, query: str, *values: Any) -> None:
        self.conn.execute(query, values or None)

    def rows(self) -> oracle.Source:
        """What the tables hold, for the oracle."""
        with self.conn.cursor(row_factory=dict_row) as cursor:
            return oracle.Source(
                *(cursor.execute(f"select * from {table}").fetchall() for table in TABLES)
            )

    def _insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        rows = list(rows)
        if rows:
            query = sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, rows[0])),
                sql.SQL(", ").join(map(sql.Placeholder, rows[0])),
            )
            with self.conn.transaction(), self.conn.cursor() as cursor:
                cursor.executemany(query, rows)


def steps() -> list[tuple[str, str, str]]:
    """The funnels' steps: (funnel_name, step_name, event_name)."""
    with SEED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["funnel_name"], row["step_name"], row["event_name"]) for row in rows]


def funnels(path: Path = SEED) -> list[Funnel]:
    """The funnels, of the project or of a copy."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = sorted(csv.DictReader(file), key=lambda line: int(line["step"]))
    found = []
    for name in sorted({line["funnel_name"] for line in lines}):
        names: dict[str, set[str]] = {}
        for line in lines:
            if line["funnel_name"] == name:
                names.setdefault(line["step_name"], set()).add(line["event_name"])
                hours = float(line.get("conversion_window_hours") or 168)
        found.append(Funnel(name, list(names.items()), timedelta(hours=hours)))
    return found


def metrics(path: Path = METRICS) -> list[Metric]:
    """The experiments' metrics, of the project or of a copy."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = [{name: text or None for name, text in row.items()} for row in csv.DictReader(file)]
    hours = ("delay_hours", "window_hours", "cap")
    return [Metric(**line | {name: line[name] and float(line[name]) for name in hours})
            for line in lines]  # fmt: skip


def expected(
    source: oracle.Source,
    now: datetime,
    window_days: int,
    *,
    days: list[date] | None = None,
    dimensions: list[str] = DIMENSIONS,
) -> Rollups:
    """What a run must write to empty rollup tables; `days` are some of the window, or all."""
    given = days or oracle.window_dates(now, window_days)
    rollups = NOTHING._replace(
        daily=oracle.daily(source, now, window_days),
        experiment=oracle.experiment(source, now, window_days),
        funnel=oracle.funnel(source, now, window_days, steps()),
        statistics=readouts_oracle.statistics(source, now, window_days, metrics()),
    )
    rollups = of_days(rollups, given.__contains__)._replace(
        dimensions=users_oracle.daily_dimensions(source, now, given, dimensions),
        conversions=users_oracle.conversions(source, now, given, funnels(), dimensions),
        retention=users_oracle.retention(source, now, given, dimensions),
        active=users_oracle.active(source, now, given, dimensions),
    )
    return with_readouts(rollups, source, now)


def of_job(rollups: Rollups, job: str) -> Rollups:
    tables = rollups._asdict().items()
    return NOTHING._replace(**{table: rows for table, rows in tables if JOB_OF[table] == job})


def of_days(rollups: Rollups, keep: Callable[[date], bool]) -> Rollups:
    """The rows of some days, of a period by its last one, without the tables that have no days."""
    return of_keys(rollups, lambda table, key: keep(oracle.days_of(table, key)[-1]))


def of_keys(rollups: Rollups, keep: Callable[[str, oracle.Key], bool]) -> Rollups:
    return NOTHING._replace(**{
        table: {key: row for key, row in getattr(rollups, table).items() if keep(table, key)}
        for table in DAILY
    })  # fmt: skip


def with_readouts(
    rollups: Rollups, source: oracle.Source, now: datetime, lines: list[Metric] | None = None
) -> Rollups:
    """Add what a run must make of the stored statistics."""
    variants, lines = readouts_oracle.catalog(source), lines or metrics()
    days = readouts_oracle.exposed_days(source, now)
    health = readouts_oracle.health(rollups.statistics, variants, lines, days, now)
    readouts = readouts_oracle.readouts(rollups.statistics, variants, lines, health)
    return rollups._replace(
        readouts=readouts, health={(name,): row for name, row in health.items()}
    )


def after_run(
    before: Rollups,
    source: oracle.Source,
    now: datetime,
    window_days: int,
    logs: dict[str, oracle.Log],
) -> Rollups:
    """What a run must make of rollup tables and a source; notes the run in `logs`."""
    fresh = expected(source, now, window_days)._asdict()
    merged = {}
    for table in DAILY:
        log = logs.setdefault(table, oracle.Log())
        old = getattr(before, table)
        merged[table] = oracle.merge(table, old, fresh[table], source, now, window_days, log)
    # The run log remembers one moment of a job.
    for job in set(JOB_OF.values()):
        its = [logs[table] for table in DAILY if JOB_OF[table] == job]
        latest = max((log.kept_since for log in its if log.kept_since), default=None)
        for log in its:
            log.kept_since = latest
    return with_readouts(NOTHING._replace(**merged), source, now)


def stored(conn: psycopg.Connection, schema: str = "analytics") -> Rollups:
    """What the rollup tables hold; nothing where one does not exist."""
    tables: list[dict[Any, Any]] = []
    for table, (key, rest) in ROLLUPS.items():
        if not _columns(conn, schema, table):
            tables.append({})
            continue
        width = key.count(",") + 1
        query = sql.SQL(f"select {key}, {rest} from {{}}").format(sql.Identifier(schema, table))
        shape = SHAPES.get(table, tuple)
        tables.append({row[:width]: shape(row[width:]) for row in conn.execute(query)})
    for table, key in REWRITTEN.items():
        query = sql.SQL("select * from {}").format(sql.Identifier(schema, table))
        tables.append({})
        if _columns(conn, schema, table):
            with conn.cursor(row_factory=dict_row) as cursor:
                for row in cursor.execute(query):
                    del row["computed_at"]
                    tables[-1][tuple(row.pop(name) for name in key)] = row
    return Rollups(*tables)


def differences(found: Rollups, wanted: Rollups) -> list[str]:
    """List the rows that differ; numbers may differ by rounding."""
    told = []
    for table, is_row, should_be in zip(Rollups._fields, found, wanted, strict=True):
        keys = is_row.keys() | should_be.keys()
        if table == "daily" and should_be:
            # A metric that a team added is tested by its unit test.
            known = {key[1] for key in should_be} | {"event_volume_by_name"}
            keys = {key for key in keys if key[1] in known}
        is_old = table in ("daily", "experiment", "funnel")
        tolerance = {"rel_tol": 1e-12} if is_old else {"rel_tol": 1e-9, "abs_tol": 1e-12}
        for key in sorted(keys, key=str):
            one, other = is_row.get(key), should_be.get(key)
            if alike(one, other, **tolerance):
                continue
            if isinstance(one, dict) and isinstance(other, dict):
                same = {n for n in other if n in one and alike(one[n], other[n], **tolerance)}
                one, other = ({n: row[n] for n in row if n not in same} for row in (one, other))
            told.append(f"{table} {key}: is {one}, should be {other}")
    return told


def alike(one: Any, other: Any, **tolerance: float) -> bool:
    """Whether two values, or all values in them, are the same but for rounding."""
    if isinstance(one, float | Decimal) and isinstance(other, float | Decimal):
        return math.isclose(one, other, **tolerance)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return all(alike(one[name], other[name], **tolerance) for name in other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(alike(*pair, **tolerance) for pair in pairs)
    return one == other


def image(
    conn: psycopg.Connection, schema: str = "analytics", *, where: str = "true", but: str = ""
) -> dict[str, list[str]]:
    """The rows of every rollup table as PostgreSQL prints them, without the column `but`.

    In `where`, the day of a period is its last one.
    """
    found = {}
    for table in (*ROLLUPS, *REWRITTEN, "experiment_catalog"):
        columns = ", ".join(name for name in _columns(conn, schema, table) if name != but)
        if columns and (where == "true" or table in ROLLUPS):
            its = where.replace("day", "period_end") if table == "retention_rollups" else where
            query = f'select row({columns})::text from "{schema}".{table} where {its} order by 1'
            found[table] = [text for (text,) in conn.execute(query)]
    return found


def _columns(conn: psycopg.Connection, schema: str, table: str) -> list[str]:
    query = """
        select column_name from information_schema.columns
        where table_schema = %s and table_name = %s order by ordinal_position
    """
    return [name for (name,) in conn.execute(query, [schema, table])]
