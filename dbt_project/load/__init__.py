"""Load an app's events from a file, or from a pipe, into the source's `event_logs`."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import IO, LiteralString, NamedTuple

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbt_project import demo, macros, source
from dbt_project.database import database_name, is_embedded
from dbt_project.load.event import ALIASES, COLUMNS, event_row, shown
from dbt_project.load.files import Counted, records
from dbt_project.messages import DatabaseError, Failure
from dbt_project.settings import timezone
from dbt_project.window import DEFAULT_DAYS, MAX_DAYS, Window, iso

IDENTITY = itemgetter(
    *map(source.EVENT_COLUMNS[1:].index, ("anonymous_user_id", "event_name", "occurred_at"))
)
STAGE = """
    create temp table {stage} on commit drop as
    select {columns}, false as made, 0::bigint as line, 0::bigint as nth from {target} with no data
"""
TOTALS = """
    select count(*), count(distinct anonymous_user_id),
        extract(epoch from min(occurred_at)), extract(epoch from max(occurred_at))
    from {stage}
"""
TWICE = """
    select line, id, first_line, count(*) over ()
    from (
        select line, id, nth, first_value(line) over same_id as first_line,
            row_number() over same_id as time
        from {stage} where not made window same_id as (partition by id order by nth)
    ) as seen
    where time > 1 order by nth limit 20
"""
KNOWN = """
    select line, id, count(*) over () from {stage} inner join {target} as stored using (id)
    order by nth limit 3
"""
INSERT = "insert into {target} ({columns}) select {columns} from {stage} order by nth"
LONGEST = """
    select line from {stage} order by greatest(octet_length(id), octet_length(event_id),
        octet_length(anonymous_user_id), octet_length(event_name), octet_length(session_id)
    ) desc limit 1
"""
BESIDE_DEMO = (
    "event_logs holds the demo's events too, so the numbers will mix both. For your events alone,"
    " set ROLLUP_HOME to a new folder."
)
SHOWN = 20  # problems that are printed; the others are counted
HINTS = {  # by what a problem contains
    "column": (
        "Accepted columns: {}. Put others into properties, as a JSON object. The first line of a"
        " CSV names its columns, separated by commas, semicolons, tabs or |."
    ).format(", ".join(" or ".join((name, *ALIASES.get(name, ()))) for name in COLUMNS)),
    "not a time": (
        "A time is ISO 8601, such as 2026-11-24T12:00:00Z, in UTC unless it has an offset, or"
        " unix seconds or milliseconds."
    ),
    "\\udc": (
        "The file is not in UTF-8. If it is in Windows-1252, convert it:"
        " iconv -f WINDOWS-1252 -t UTF-8 FILE | python cli.py load -"
    ),
}


class Loaded(NamedTuple):
    """What a load wrote. The times are aware UTC."""

    events: int
    users: int
    first_at: datetime
    last_at: datetime
    notes: list[str]

    def __str__(self) -> str:
        return (
            f"Loaded {self.events:,} events of {self.users:,} users, {iso(self.first_at)} to"
            f" {iso(self.last_at)}"
        )


class BadFile(Failure):
    """Lines that cannot be loaded: the first ones as "line 17: ...", all of them in `total`."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.total = 0

    def add(self, line: int, problem: object) -> None:
        self.total += 1
        if len(self.problems) < SHOWN:
            self.problems.append(f"line {line}: {problem}")

    def __str__(self) -> str:
        text, rest = "\n".join(self.problems), self.total - len(self.problems)
        hints = [hint for word, hint in HINTS.items() if word in text]
        return "\n".join([text, *([f"and {rest} more"] if rest else []), *hints])


def check_target(conn: psycopg.Connection, into_app: bool) -> None:
    """Raise DatabaseError unless the database is the embedded one or the user asked for it."""
    if not into_app and not is_embedded(conn):
        raise DatabaseError(
            f"DATABASE_URL names {database_name(conn)}, whose event log may be an app's own;"
            " add --into-app to load the file into it all the same."
        )


@contextmanager
def in_a_sentence(conn: psycopg.Connection, schema: str) -> Iterator[None]:
    """Raise Failure for a file that cannot be read, and for a table that does not take events."""
    try:
        yield
    except OSError as error:
        raise Failure(f"the file cannot be read: {error.strerror}") from error
    except psycopg.OperationalError:  # has words of its own
        raise
    except psycopg.DatabaseError as error:
        why = f"cannot be loaded as {conn.info.user}: {error.diag.message_primary}"
        raise Failure(f"{schema}.event_logs {why}") from error


def load(
    conn: psycopg.Connection,
    schema: str,
    file: IO[bytes],
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Loaded:
    """Load a file into `schema`.event_logs in one transaction, the caller's if one is open.

    Creates the source tables where none of the four exists. Rows stay in a temporary table until
    all of them are checked, so memory stays constant and a refused file leaves no trace.
    `progress(done, total)` counts bytes of a file; a pipe has no total.

    Raises BadFile, or Failure when the file was loaded before, or cannot be.
    """
    names: dict[str, sql.Composable] = {
        "target": sql.Identifier(schema, "event_logs"),
        "stage": sql.Identifier("pg_temp", "loaded"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, source.EVENT_COLUMNS)),
    }
    with (
        in_a_sentence(conn, schema),
        conn.transaction(),
        conn.cursor(row_factory=tuple_row) as cur,
    ):

        def run(query: LiteralString) -> list[tuple]:
            done = cur.execute(sql.SQL(query).format(**names))
            return done.fetchall() if done.description else []

        existing = source.existing_source_tables(conn, schema)
        if not existing:
            source.create_source_tables(conn, schema)
        elif missing := [table for table in source.TABLES if table not in existing]:
            raise Failure(f"the source lacks these tables: {', '.join(missing)}")
        notes = [BESIDE_DEMO] if demo.found(conn, schema) else []
        run(STAGE)  # which has the types of the columns, and none of their constraints
        run(INSERT)  # no row yet: finds a missing privilege, or a view, before the work
        size = file.seek(0, os.SEEK_END) if file.seekable() and file.tell() == 0 else 0
        if size:
            file.seek(0)
        raw, bad = Counted(file), BadFile()

        def tick(_: int) -> None:
            if progress and size:
                progress(raw.count, size)

        source.copy_rows(conn, names["stage"], good_rows(raw, bad), tick)
        if size and file.seek(0, os.SEEK_END) != size:
            raise Failure("the file changed while it was read; load it when it is complete")
        if not bad.total:
            for line, key, first_line, count in run(TWICE):
                bad.add(line, f"id: {shown(key)} is the id of line {first_line} too")
                bad.total = count
        if bad.total:
            raise bad
        run("analyze {stage}")
        ((events, users, *epochs),) = run(TOTALS)
        if known := run(KNOWN):
            ids = ", ".join(f"line {line}: {shown(str(key))}" for line, key, _ in known)
            ((*_, total), *_) = known
            if total == events:
                raise Failure(f"the events of this file are in event_logs already: {total} events")
            raise Failure(f"already in event_logs: {ids} ({total} in all). Leave them out.")
        try:
            with conn.transaction():
                run(INSERT)
        except errors.UniqueViolation as error:  # an event_id, or another load at the same time
            raise Failure(f"already in event_logs: {error.diag.message_detail}") from error
        except errors.ProgramLimitExceeded as error:
            ((line,),) = run(LONGEST)
            bad.add(line, "a user, event, id or session too long for an index")
            raise bad from error
        run("analyze {target}")
        run("drop table {stage}")  # the caller's transaction may load another file
    first_at, last_at = (datetime.fromtimestamp(float(epoch), UTC) for epoch in epochs)
    notes += out_of_reach(first_at, last_at, datetime.now(UTC))
    return Loaded(events, users, first_at, last_at, notes)


def good_rows(raw: Counted, bad: BadFile) -> Iterator[tuple]:
    """Yield rows up to the first problem; read on to collect in `bad` what else is wrong.

    An id is made from user, event and time of all events up to its own, so the same file gives
    the same ids, and a file to which events were added begins with those of before.
    """
    nth, digest = 0, hashlib.sha256()
    for nth, (line, record) in enumerate(records(raw), start=1):
        try:
            if isinstance(record, Exception):
                raise record
            key, *values = event_row(record)
        except ValueError as error:
            bad.add(line, error)
            continue
        if made := key is None:
            digest.update("{}\0{}\0{}\0".format(*IDENTITY(values)).encode())
            key = digest.hexdigest()[:32]
        if not bad.total:
            yield (key, *values, made, line, nth)
    if not nth:
        bad.add(1, "no event in the file")


def out_of_reach(first_at: datetime, last_at: datetime, now: datetime) -> list[str]:
    """Return a sentence on the options with which a run reaches what it else leaves out."""
    first, last = (at.astimezone(timezone()).date() for at in (first_at, last_at))
    if first_at > now:
        return ["All of these events are in the future, and a run leaves them out until then."]
    if first >= Window(now, DEFAULT_DAYS).first:
        return []
    oldest = Window(now, MAX_DAYS).first
    options = []
    if first < oldest:
        day = min(last, oldest - timedelta(days=1))
        # As of an earlier time, a run would leave out what was not final then.
        settling = int(macros("time").longest_horizon_days()) + 1
        days = (day - first).days + 1 + settling
        as_of = day + timedelta(days=settling)
        options.append(f"--as-of {as_of} --window-days {min(days, MAX_DAYS)}")
        if days > MAX_DAYS:
            options.insert(0, "--as-of for the days before")
    if last >= oldest:
        options.append(f"--from {max(first, oldest)}")
    return [
        f"A run computes the last {DEFAULT_DAYS} days, or up to {MAX_DAYS} when asked. To compute"
        f" all days of these events, run it with {', then with '.join(options)}."
    ]
