"""Copies the source tables to a lake: Parquet files that Spark reads, the events by day.

LAKE_PATH/event_logs/day=2026-11-24/event_logs.parquet, and one file for each of the other tables.
A day is a day of UTC. Its file is replaced as a whole, so a reader finds all events or none; which
events it holds stands in the file, so that the next export writes only days that changed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from dbt_project import columns, preflight
from dbt_project.lake import parquet
from dbt_project.lake.place import Place
from dbt_project.messages import Failure
from dbt_project.source import TABLES
from dbt_project.window import MAX_DAYS

EVENTS = TABLES[0]
DAY = "day=%s"
# Spark's name for a day that is null.
UNDATED = DAY % "__HIVE_DEFAULT_PARTITION__"
# A row that comes, goes or is received again changes at least one of these.
FINGERPRINT = """
    concat_ws(
        ' ', count(*), count({received}), min({received}), max({received}), sum({received})
    )
"""


@dataclass
class Export:
    """What an export did, in days and events."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    events: int = 0
    notes: list[str] = field(default_factory=list)

    def sentence(self, place: Place) -> str:
        others = [
            f"{count:,} {word}"
            for count, word in ((self.unchanged, "unchanged"), (self.removed, "removed"))
            if count
        ]
        days = f"{self.written:,} day{'' if self.written == 1 else 's'}"
        rest = f" ({', '.join(others)})" if others else ""
        return f"Exported {self.events:,} events of {days} to {place.shown}{rest}."


def export(
    conn: psycopg.Connection,
    schema: str,
    place: Place,
    since: date,
    until: date | None = None,
    *,
    again: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Export:
    """Copy the days from `since` to `until`, or to the last one, and the tables of experiments.

    A day whose events are the same as when it was copied is left as it is, unless `again`. A day
    that lost all its events is removed. Events without a time count as a day of their own. Each day
    is as it was at one moment. `progress(done, total)` counts events.

    `conn` must be idle. Raises Failure; the days that were done before are done.
    """
    if until and until < since:
        raise Failure("--until must not be before --since.")
    conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
    with _snapshot(conn):
        preflight.check_source(conn, schema)
        found = {one.name: one for one in columns.relations(conn, schema, TABLES)}
        plan = _Plan(conn, found[EVENTS], since, until)
    place.tidy()
    done, notes = Export(), [*plan.notes]
    stored = [name for name in place.names(EVENTS) if plan.covers(name)]
    folders = sorted({*plan.days, *stored})
    for folder in (*(f"{EVENTS}/{name}" for name in folders), *columns.EXPERIMENT_TABLES):
        _refuse_strangers(place, folder)
    stale = {
        folder: count
        for folder, (print_, count) in plan.days.items()
        if again or _stored_note(place, f"{EVENTS}/{folder}") != plan.note(print_)
    }
    total = sum(stale.values())

    def tick(rows: int) -> None:
        done.events += rows
        if progress:
            progress(done.events, total)

    for folder in folders:
        if folder in plan.days and folder not in stale:
            done.unchanged += 1
            continue
        with _snapshot(conn):
            print_ = plan.read(conn, folder)
            if print_ is None:
                place.remove(f"{EVENTS}/{folder}")
                done.removed += 1
                continue
            with place.whole(f"{EVENTS}/{folder}/{EVENTS}.parquet") as file:
                where = f"{plan.table} where {plan.condition(folder)}"
                parquet.write(conn, plan.columns, where, file, plan.note(print_), tick)
            done.written += 1
    with _snapshot(conn):
        for table in columns.EXPERIMENT_TABLES:
            if table not in found:
                place.remove(table)
                notes.append(f"The source has no table {table}, so the lake has none.")
                continue
            notes += _copy_table(conn, place, found[table])
        notes += _history(conn, place, plan, since)
    done.notes = notes
    return done


class _Plan:
    """Which days of the event log there are, and what their files will hold."""

    def __init__(
        self, conn: psycopg.Connection, log: columns.Relation, since: date, until: date | None
    ):
        self.since, self.until = since, until
        self.columns, self.notes = parquet.exported(log)
        self.table = f"from {sql.Identifier(log.schema, log.name).as_string()}"
        self.print_ = FINGERPRINT.format(
            received=parquet.micros("cast(received_at as timestamptz)")
        )
        # As text, since psycopg would read a day by a style that the role may have changed.
        day = (
            "to_char(greatest(date '0001-01-01', least(date '9999-12-31',"
            " cast(cast(occurred_at as timestamptz) at time zone 'UTC' as date))), 'YYYY-MM-DD')"
        )
        query = (
            f"select {day}, {self.print_}, count(*) {self.table}"
            f" where {_between(since, until or date.max)} group by 1"
        )
        self.days = {DAY % name: (rest[0], rest[1]) for name, *rest in _all(conn, query)}
        print_, count = _all(conn, f"select {self._of(UNDATED)}")[0]
        if count:
            self.days[UNDATED] = print_, count

    def covers(self, folder: str) -> bool:
        """Return whether a folder of the lake is one that this export writes or removes."""
        if folder == UNDATED:
            return True
        try:
            day = date.fromisoformat(folder.removeprefix("day="))
        except ValueError:
            return False
        return self.since <= day and (self.until is None or day <= self.until)

    def condition(self, folder: str) -> str:
        if folder == UNDATED:
            return "occurred_at is null"
        day = date.fromisoformat(folder.removeprefix("day="))
        return _between(day, day)

    def read(self, conn: psycopg.Connection, folder: str) -> str | None:
        """Return what distinguishes the events of a day now, or None if there are none."""
        print_, count = _all(conn, f"select {self._of(folder)}")[0]
        return print_ if count else None

    def note(self, print_: str) -> dict[str, Any]:
        """Return what the file of a day says of it."""
        return {"events": print_, "columns": [[one.name, one.kind] for one in self.columns]}

    def _of(self, folder: str) -> str:
        return f"{self.print_}, count(*) {self.table} where {self.condition(folder)}"


@contextmanager
def _snapshot(conn: psycopg.Connection) -> Iterator[None]:
    """In the block all is as it was at one moment, and texts are as the lake has them."""
    with conn.transaction():
        conn.execute(parquet.SETTINGS)
        yield


def _between(first: date, last: date) -> str:
    """Return a condition on an event's time. The first and the last day of all have no end."""
    since = f"occurred_at >= '{first} 00:00:00+00'" if first > date.min else ""
    until = f"occurred_at < '{last + timedelta(days=1)} 00:00:00+00'" if last < date.max else ""
    return " and ".join(filter(None, (since, until))) or "occurred_at is not null"


def _all(conn: psycopg.Connection, query: str) -> list[tuple]:
    return conn.execute(query.encode()).fetchall()


def _copy_table(conn: psycopg.Connection, place: Place, table: columns.Relation) -> list[str]:
    """Copy one of the smaller tables, which may change in any row; return sentences on it."""
    found, notes = parquet.exported(table)
    rows = f"from {sql.Identifier(table.schema, table.name).as_string()}"
    with place.whole(f"{table.name}/{table.name}.parquet") as file:
        parquet.write(conn, found, rows, file, {}, lambda _: None)
    return notes


def _stored_note(place: Place, folder: str) -> dict[str, Any] | None:
    """Return what the file of a day says of it, or None if it is not there, or not ours."""
    names = place.names(folder)
    return parquet.noted(place.open(f"{folder}/{names[0]}")) if names else None


def _refuse_strangers(place: Place, folder: str) -> None:
    """Raise Failure for files that no export wrote: their rows would count beside ours."""
    for name in place.names(folder):
        if name != f"{folder.partition('/')[0]}.parquet":
            raise Failure(
                f"{place.shown}/{folder} holds {name}, which no export wrote, and Spark would read"
                " both. Let LAKE_PATH name another folder. Nothing was exported."
            )


def _history(conn: psycopg.Connection, place: Place, plan: _Plan, since: date) -> list[str]:
    """Return a sentence if a run would miss events that the source has."""
    now = datetime.now(UTC)
    oldest = now - timedelta(days=MAX_DAYS)
    query = (
        f"select to_char(cast(min(occurred_at) as timestamptz), 'YYYY-MM-DD') {plan.table}"
        f" where occurred_at >= '{oldest}' and occurred_at <= '{now}'"
    )
    first = _all(conn, query)[0][0]
    if not first or first >= str(since) or DAY % first in place.names(EVENTS):
        return []
    return [
        f"The source has events since {first}, the lake lacks those before {since}. A run looks"
        f" back {MAX_DAYS} days for a user's first event; --since {first} copies them too."
    ]
