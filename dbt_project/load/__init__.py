"""Load an app's events from a file, or from a pipe, into the source's `event_logs`."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import IO, LiteralString, NamedTuple

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbt_project import source
from dbt_project.database import DatabaseError, given_url
from dbt_project.load.event import ALIASES, COLUMNS, event_row, shown
from dbt_project.load.files import BadColumns, File
from dbt_project.messages import Failure

TOTALS = """
    select count(*), count(id), count(distinct anonymous_user_id),
        extract(epoch from min(occurred_at)), extract(epoch from max(occurred_at))
    from {stage}
"""
TWICE = """
    select line, id, first_line, count(*) over ()
    from (
        select line, id, min(line) over (partition by id) as first_line
        from {stage} where id is not null
    ) as seen
    where line > first_line order by line limit 20
"""
KNOWN = """
    select staged.line, stored.id, count(*) over ()
    from (select line, {id} as id from {stage}) as staged
    inner join {target} as stored on stored.id = staged.id
    order by staged.line limit 3
"""
INSERT = """
    insert into {target} ({columns}) select {id}, {others} from {stage} order by line
"""
LONGEST = """
    select line from {stage} order by greatest(octet_length(id), octet_length(event_id),
        octet_length(anonymous_user_id), octet_length(event_name), octet_length(session_id)
    ) desc limit 1
"""
ACCEPTED = "Accepted columns: {}. Put others into properties, as a JSON object.".format(
    ", ".join(" or ".join((name, *ALIASES.get(name, ()))) for name in COLUMNS)
)
SHOWN = 20  # problems that are printed; the others are counted


class Loaded(NamedTuple):
    """What a load wrote. The times are aware UTC."""

    events: int
    users: int
    first_at: datetime
    last_at: datetime


class AlreadyLoaded(Failure):
    """Events of the file are in `event_logs` already, so nothing of it was loaded."""


class BadFile(Failure):
    """Lines that cannot be loaded: the first ones as "line 17: ...", all of them in `total`."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.total, self.hint = 0, ""

    def add(self, line: int, problem: object) -> None:
        self.total += 1
        if len(self.problems) < SHOWN:
            self.problems.append(f"line {line}: {problem}")
        if isinstance(problem, BadColumns):
            self.hint = ACCEPTED

    def __str__(self) -> str:
        rest = self.total - len(self.problems)
        last = [f"and {rest} more" if rest else "", self.hint]
        return "\n".join(filter(None, self.problems + last))


def check_target(conn: psycopg.Connection, into_app: bool) -> None:
    """Raise DatabaseError unless the database is the embedded one or the user asked for it."""
    if given_url() and not into_app:
        raise DatabaseError(
            f"DATABASE_URL names database {conn.info.dbname} on {conn.info.host}, whose event log"
            " may be an app's own; add --into-app to load the file into it all the same."
        )


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

    Raises BadFile, AlreadyLoaded, source.SourceIncomplete, or OSError for an unreadable file.
    """
    total = file.seek(0, os.SEEK_END) if file.seekable() and file.tell() == 0 else 0
    if total:
        file.seek(0)
    content, bad = File(file), BadFile()
    names: dict[str, sql.Composable] = {
        "target": sql.Identifier(schema, "event_logs"),
        "stage": sql.Identifier("pg_temp", "loaded"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, source.EVENT_COLUMNS)),
        "others": sql.SQL(", ").join(map(sql.Identifier, source.EVENT_COLUMNS[1:])),
    }
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cur:

        def run(query: LiteralString) -> list[tuple]:
            done = cur.execute(sql.SQL(query).format(**names))
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

        def tick(_: int) -> None:
            if progress and total:
                progress(content.raw.count, total)

        source.copy_rows(conn, names["stage"], good_rows(content, bad), tick)
        ((events, ids, users, *epochs),) = run(TOTALS)
        if ids and not bad.total:
            for line, key, first_line, count in run(TWICE):
                bad.add(line, f"id: {shown(key)} is the id of line {first_line} too")
                bad.total = count
        if bad.total:
            raise bad
        digest = content.content.digest.hexdigest()  # makes the same file give the same ids
        made = sql.SQL("coalesce(id, {} || line)").format(f"{digest}-")
        names["id"] = sql.SQL("id") if ids == events else made
        insert(conn, run, digest, bad)
        run("drop table {stage}")  # the caller's transaction may load another file
    first_at, last_at = (datetime.fromtimestamp(float(epoch), UTC) for epoch in epochs)
    return Loaded(events, users, first_at, last_at)


def good_rows(file: File, bad: BadFile) -> Iterator[tuple]:
    """Yield rows up to the first problem; read on to collect in `bad` what else is wrong."""
    line = 0
    for line, record in file.records():
        if isinstance(record, Exception):
            bad.add(line, record)
            continue
        try:
            row = event_row(record, line)
        except ValueError as error:
            bad.add(line, error)
        else:
            if not bad.total:
                yield row
    if not line:
        bad.add(1, "no event in the file")


def insert(conn: psycopg.Connection, run: Callable, digest: str, bad: BadFile) -> None:
    """Move the staged rows to the target. Raises AlreadyLoaded, or BadFile for a huge value."""
    run("analyze {stage}")
    if known := run(KNOWN):
        total = known[0][2]
        if str(known[0][1]).startswith(digest):
            raise AlreadyLoaded(f"this very file is in event_logs already: {total} events")
        ids = ", ".join(f"line {line}: {shown(key)}" for line, key, _ in known)
        raise AlreadyLoaded(f"ids already in event_logs: {ids} ({total} in all). Leave them out.")
    try:
        with conn.transaction():
            run(INSERT)
    except errors.UniqueViolation as error:  # an event_id, or another load at the same time
        raise AlreadyLoaded(f"already in event_logs: {error.diag.message_detail}") from error
    except errors.ProgramLimitExceeded as error:
        ((line,),) = run(LONGEST)
        bad.add(line, "a user, event, id or session too long for an index")
        raise bad from error
    run("analyze {target}")
