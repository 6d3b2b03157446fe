"""Load an app's events from a CSV or NDJSON file into the source's `event_logs`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbt_project import source
from dbt_project.event_file import BadFile, fingerprint, good_rows, opened
from dbt_project.event_values import shown

TWICE = """
    select line, id, first_line, count(*) over ()
    from (select line, id, min(line) over (partition by id) as first_line from {stage}) as seen
    where line > first_line
    order by line
    limit 20
"""
KNOWN = """
    select staged.line, staged.id, count(*) over ()
    from {stage} as staged
    inner join {target} as stored on stored.id = staged.id
    order by staged.line
    limit 3
"""
TOTALS = """
    select
        count(*),
        count(distinct anonymous_user_id),
        extract(epoch from min(occurred_at)),
        extract(epoch from max(occurred_at))
    from {stage}
"""


@dataclass(frozen=True)
class Loaded:
    """What a load wrote. The times are aware UTC; a file without events is never loaded."""

    events: int
    users: int
    first_at: datetime
    last_at: datetime
    created_tables: bool


class AlreadyLoaded(Exception):
    """Events of the file are in `event_logs` already, so nothing of it was loaded."""


def load(
    conn: psycopg.Connection,
    schema: str,
    path: str | Path,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Loaded:
    """Load a file into `schema`.event_logs in one transaction, the caller's if one is open.

    The source tables are created when none of the four exists. Rows wait in a temporary table
    until all of them have proved good, so memory stays constant and a refused file leaves no
    trace. `progress(done, total)` counts bytes of the file.

    Raises BadFile, AlreadyLoaded, source.SourceIncomplete, or OSError for an unreadable file.
    """
    path, bad = Path(path), BadFile([], 0)
    digest, size = fingerprint(path), path.stat().st_size
    columns = sql.SQL(", ").join(map(sql.Identifier, source.EVENT_COLUMNS))
    target, stage = sql.Identifier(schema, "event_logs"), sql.Identifier("pg_temp", "loaded")
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cur:

        def run(query: LiteralString) -> list[tuple]:
            done = cur.execute(sql.SQL(query).format(stage=stage, target=target, columns=columns))
            return done.fetchall() if done.description else []

        existing = source.existing_source_tables(conn, schema)
        if not existing:
            source.create_source_tables(conn, schema)
        elif missing := [table for table in source.TABLES if table not in existing]:
            raise source.SourceIncomplete(missing)
        # Only the types of the real columns: their constraints are checked below, with lines.
        run(
            "create temp table {stage} on commit drop as "
            "select {columns}, 0::bigint as line from {target} with no data"
        )
        with opened(path) as (raw, content):
            rows = good_rows(path, content, digest, bad)

            def tick(_: int) -> None:
                if progress:
                    progress(raw.tell(), size)

            source.copy_rows(conn, stage, rows, tick)
        for line, key, first_line, total in [] if bad.total else run(TWICE):
            bad.add(line, f"id: {shown(key)} is the id of line {first_line} too")
            bad.total = total
        if bad.total:
            raise bad
        insert(conn, run, digest, bad)
        ((events, users, *epochs),) = run(TOTALS)
        first_at, last_at = (datetime.fromtimestamp(float(epoch), UTC) for epoch in epochs)
        run("drop table {stage}")  # the caller's transaction may load another file
    return Loaded(events, users, first_at, last_at, created_tables=not existing)


def insert(
    conn: psycopg.Connection, run: Callable[..., list[tuple]], digest: str, bad: BadFile
) -> None:
    """Move the staged rows to the target. Raises AlreadyLoaded, or BadFile for a huge value."""
    run("analyze {stage}")
    if known := run(KNOWN):
        total = known[0][2]
        if known[0][1].startswith(digest):
            raise AlreadyLoaded(f"this very file is in event_logs already: {total} events")
        lines = ", ".join(f"line {line}: {shown(key)}" for line, key, _ in known)
        raise AlreadyLoaded(f"ids already in event_logs: {lines} ({total} in all)")
    try:
        with conn.transaction():
            run("insert into {target} ({columns}) select {columns} from {stage} order by line")
    except errors.UniqueViolation as error:
        raise AlreadyLoaded("the same ids were loaded by somebody else just now") from error
    except errors.ProgramLimitExceeded as error:
        ((line,),) = run(
            "select line from {stage} order by greatest(octet_length(id), "
            "octet_length(anonymous_user_id), octet_length(event_name), octet_length(session_id)) "
            "desc limit 1"
        )
        bad.add(line, "a user, event, id or session too long for an index")
        raise bad from error
    run("analyze {target}")
