"""Publishes the rollups that Spark computed: to PostgreSQL, by the rules of a run there.

All tables of a job change in one transaction, under the locks that dbt's own runs take. So readers
see a window before or after a run, and a run that dies leaves the tables as they were.
"""

import csv
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from dbt_project import limits, macros, retry, run_log, settings
from dbt_project.database import connect, only_row
from dbt_project.days import today
from dbt_project.messages import DatabaseError, Failure, echo
from dbt_project.our_tables import described
from dbt_project.run_log import JobRun
from dbt_project.window import ROLLUPS, Window

# Rows of a table, by its name and the types of the columns wanted; values are PostgreSQL's text.
Rows = Iterable[Sequence[str | None]]
Read = Callable[[str, Mapping[str, str]], Rows]


class Stored(NamedTuple):
    """Rows of a table in PostgreSQL, as its text, with the types of the columns."""

    table: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[str | None]]


Agree = Callable[[Stored], None]
STATISTICS = "experiment_statistics"
POOLED = ("experiment_health", "experiment_readouts")
COMPUTED = "computed_rows"
# What dbt makes of the seeds' columns; all others are text.
SEED_TYPES = {"step": "integer"} | dict.fromkeys(
    ("conversion_window_hours", "delay_hours", "window_hours", "cap"), "double precision"
)


@dataclass
class Published:
    """What a job published. `rows_written` counts those of its rollup."""

    rows_written: int = 0
    notes: list[str] = field(default_factory=list)
    kept_since: str | None = None


@dataclass(frozen=True)
class Rollup:
    """A table of a job, as its yml file describes it."""

    name: str
    columns: dict[str, str]
    required: frozenset[str]
    key: list[str]
    meta: dict[str, Any]
    indexes: list[dict[str, Any]]


def rollups(job: str) -> list[Rollup]:
    """Return the tables of a job, sorted by name."""
    return [_rollup(model) for _, model in sorted(described().items()) if _is_of(model, job)]


def _is_of(model: dict[str, Any], job: str) -> bool:
    return model["job"] == job and "config" in model


def _rollup(model: dict[str, Any]) -> Rollup:
    config, columns = model["config"], model["columns"]
    return Rollup(
        model["name"],
        {column["name"]: column["data_type"] for column in columns},
        frozenset(column["name"] for column in columns if "constraints" in column),
        [config["unique_key"]] if isinstance(config["unique_key"], str) else config["unique_key"],
        config.get("meta", {}),
        config.get("indexes", []),
    )


def check_zones(conn: psycopg.Connection, schema: str, zone: str) -> None:
    """Raise DatabaseError where a rollup holds days of another zone, as dbt does."""
    for job in ROLLUPS:
        for rollup in rollups(job):
            noted = _zone_of(conn, schema, rollup.name)
            if noted in (None, zone):
                continue
            table = sql.Identifier(schema, rollup.name)
            if conn.execute(sql.SQL("select 1 from {} limit 1").format(table)).fetchone():
                raise DatabaseError(
                    f"{rollup.name} in schema {schema} has days of {noted}, and this run is for"
                    f" days of {zone}. Nothing was run. Set ROLLUP_TIMEZONE={noted} to go on. To"
                    f" begin again in {zone}, let ANALYTICS_SCHEMA name a new schema, and run with"
                    " --window-days 180."
                )


def _zone_of(conn: psycopg.Connection, schema: str, table: str) -> str | None:
    """Return the zone of a table's days, which its comment names, or None without a table."""
    query = """
        select found, obj_description(found, 'pg_class')
        from to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) as found
    """
    found, comment = only_row(conn, query, [schema, table])
    if found is None:
        return None
    zone = re.fullmatch("Days are days of (.+)[.]", comment or "")
    return zone[1] if zone else "UTC"


def publish_runs(
    conninfo: str,
    schema: str,
    runs: Iterable[JobRun],
    read: Read,
    window: Window,
    *,
    begins: datetime | None,
    allow_purged: bool = False,
    agree: Agree | None = None,
) -> None:
    """Publish each job that has no error, and record in its run what came of it.

    Tries again by itself after transient failures: what was computed is still there.
    """
    for run in runs:
        if not run.ok:
            run.errors.append(f"Nothing of job {run.job_name} was published to PostgreSQL.")
        if not run.ok or run.idle:
            continue
        for wait in (*retry.WAITS_S, None):
            try:
                with closing(connect(conninfo, autocommit=True)) as conn:
                    done = publish(
                        conn, schema, run.job_name, read, window,
                        begins=begins, allow_purged=allow_purged, agree=agree,
                    )  # fmt: skip
            except (psycopg.Error, Failure) as error:
                reason = " ".join(str(error).split()).rstrip(".")
                if wait is None or not retry.is_transient(error):
                    run.errors.append(
                        f"{reason}. Nothing of job {run.job_name} was published to PostgreSQL."
                    )
                    run.permanent = True
                    break
                echo(f"{reason}. Publishing {run.job_name} again in {wait} s.", err=True)
                time.sleep(wait)
            else:
                run.rows_written, run.kept_since = done.rows_written, done.kept_since
                run.notes += done.notes
                break


def publish(
    conn: psycopg.Connection,
    schema: str,
    job: str,
    read: Read,
    window: Window,
    *,
    begins: datetime | None,
    allow_purged: bool = False,
    agree: Agree | None = None,
) -> Published:
    """Write what was computed for the window to the job's tables, all or nothing.

    `begins` is the first valid event of the source, or None if it has none. `agree` is told what
    is stored of the days that pooled tables are computed from, before these are read. The caller
    holds the job's lock; `conn` must be in autocommit. Raises psycopg.Error, and what `read` and
    `agree` raise.
    """
    done = Published()
    logs = limits.event_log_since(begins)
    with conn.transaction():
        run_log.keep_open(conn)
        conn.execute(macros("statement").session_settings())
        for name, columns in _seeds(job).items():
            seed = Rollup(name, columns, frozenset(), [], {}, [])
            _lock_and_create(conn, schema, seed)
            _load(conn, schema, seed, read)
            _replace(conn, schema, seed, None, window, allow_purged)
        # Those without days are rewritten whole, some of them from the stored days of others.
        for rollup in sorted(rollups(job), key=lambda one: "shows_events" not in one.meta):
            if agree and rollup.name in POOLED:
                agree(_stored(conn, schema))
                agree = None
            _lock_and_create(conn, schema, rollup)
            _load(conn, schema, rollup, read)
            found = None
            if "shows_events" in rollup.meta:
                found = limits.of_rollup(conn, logs, schema, rollup.name, job, rollup.meta, window)
                done.notes += _notes(conn, rollup, found, window, allow_purged)
                done.kept_since = found["kept_since"] or done.kept_since
            written = _replace(conn, schema, rollup, found, window, allow_purged)
            _note_zone(conn, schema, rollup.name, window.zone.key)
            if rollup.name == ROLLUPS[job]:
                done.rows_written = written
    return done


def _stored(conn: psycopg.Connection, schema: str) -> Stored:
    """Return the days that pooled tables are computed from, as text."""
    columns = next(one.columns for one in rollups("experiment") if one.name == STATISTICS)
    texts = sql.SQL(", ").join(
        sql.SQL("cast({} as text)").format(sql.Identifier(column)) for column in columns
    )
    query = sql.SQL("select {} from {}").format(texts, sql.Identifier(schema, STATISTICS))
    conn.execute("set local datestyle = 'ISO'")
    return Stored(STATISTICS, columns, conn.execute(query).fetchall())


def _seeds(job: str) -> dict[str, dict[str, str]]:
    """Return the job's seeds, with the types of their columns."""
    found = {}
    for name in settings.SEEDS:
        folder, _, file = name.partition("/")
        if folder == job:
            with (settings.seeds() / name).open(newline="", encoding="utf-8-sig") as lines:
                header = next(csv.reader(lines))
            found[file.removesuffix(".csv")] = {
                column: SEED_TYPES.get(column, "text") for column in header
            }
    return found


def _lock_and_create(conn: psycopg.Connection, schema: str, rollup: Rollup) -> None:
    """Take the lock that dbt takes on a table, and create the table, or columns that it lacks."""
    # As dbt writes its name.
    name = f'"{conn.info.dbname}"."{schema}"."{rollup.name}"'
    conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
    there = {column for (column,) in conn.execute(
        "select attname from pg_attribute where attnum > 0 and not attisdropped"
        " and attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))",
        [schema, rollup.name],
    )}  # fmt: skip
    table = sql.Identifier(schema, rollup.name)
    columns = {
        column: sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
        for column, kind in rollup.columns.items()
    }
    if there:
        # As dbt does, without a constraint, which the rows that are there would break.
        for column in columns.keys() - there:
            add = sql.SQL("alter table {} add column {}").format(table, columns[column])
            conn.execute(add)
        return
    definitions = [
        sql.SQL("{} not null").format(one) if column in rollup.required else one
        for column, one in columns.items()
    ]
    conn.execute(sql.SQL("create table {} ({})").format(table, sql.SQL(", ").join(definitions)))
    for index in rollup.indexes:
        kind = sql.SQL("unique index" if index.get("unique") else "index")
        key = sql.SQL(", ").join(map(sql.Identifier, index["columns"]))
        conn.execute(sql.SQL("create {} on {} ({})").format(kind, table, key))


def _load(conn: psycopg.Connection, schema: str, rollup: Rollup, read: Read) -> None:
    """Copy what was computed to a temporary table, which checks the types."""
    names = sql.SQL(", ").join(map(sql.Identifier, rollup.columns))
    conn.execute(
        sql.SQL("create temporary table {} on commit drop as select {} from {} where false").format(
            sql.Identifier(COMPUTED), names, sql.Identifier(schema, rollup.name)
        )
    )
    statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(COMPUTED), names)
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in read(rollup.name, rollup.columns):
            copy.write_row(row)


def _notes(
    conn: psycopg.Connection,
    rollup: Rollup,
    found: dict[str, Any],
    window: Window,
    allow_purged: bool,
) -> list[str]:
    """Return sentences on what the run leaves alone."""
    rules = macros("run_limits", "replace_rows")
    unfinished = None
    if found["is_older"]:
        unfinished = only_row(conn, rules.unfinished_days(COMPUTED, rollup.meta))[0]
    as_of = f"{window.as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    notes = rules.limits_notes(rollup.name, found, allow_purged, as_of, unfinished)
    return notes.strip().splitlines()


def _replace(
    conn: psycopg.Connection,
    schema: str,
    rollup: Rollup,
    found: dict[str, Any] | None,
    window: Window,
    allow_purged: bool,
) -> int:
    """Replace the table's rows by the loaded ones; return how many are new."""
    rules = macros("run_limits", "replace_rows")
    statements = rules.replace_rows(
        sql.Identifier(schema, rollup.name).as_string(),
        COMPUTED,
        ", ".join(sql.Identifier(column).as_string() for column in rollup.columns),
        rollup.key,
        rollup.meta,
        found,
        window.first,
        window.last,
        allow_purged,
        f"{rules.row_day(rollup.meta, 'last')} < '{today(window.as_of, window.zone)}'",
    )
    for statement in statements.split(";\n"):
        written = conn.execute(statement).rowcount
    conn.execute(sql.SQL("drop table {}").format(sql.Identifier("pg_temp", COMPUTED)))
    return written


def _note_zone(conn: psycopg.Connection, schema: str, table: str, zone: str) -> None:
    """Note the zone of a table's days in its comment, as dbt does."""
    if _zone_of(conn, schema, table) != zone:
        comment = sql.NULL if zone == "UTC" else sql.Literal(f"Days are days of {zone}.")
        conn.execute(
            sql.SQL("comment on table {} is {}").format(sql.Identifier(schema, table), comment)
        )
