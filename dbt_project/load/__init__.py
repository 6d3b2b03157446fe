"""Load files, or a pipe, of an app's events or experiments into the source's tables."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbt_project import demo, macros, source
from dbt_project.database import database_name, is_embedded
from dbt_project.load.files import CHUNK, Counted, records
from dbt_project.load.rows import EVENTS, NAMES, NULL, TABLES, UNIQUE, Reader, named, shown
from dbt_project.messages import DatabaseError, Failure
from dbt_project.report import table as table_of
from dbt_project.settings import timezone
from dbt_project.window import DEFAULT_DAYS, MAX_DAYS, Window, iso

# Has the types of the columns, and none of their constraints.
STAGE = """
    create temp table {stage} on commit drop as
    select {columns}, false as made, 0 as file, 0::bigint as line, 0::bigint as nth
    from {target} with no data
"""
COPY = "copy {stage} from stdin (encoding 'utf8')"
ESCAPES = (  # in this order: of values, then of NULL, the end of a row, and the end of a value
    ("\\", "\\\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r"),
    ("\0" + NULL, "\t\\N"), ("\0\0E", "\n"), ("\0", "\t"),
)  # fmt: skip
TOTALS = "select count(*) from {stage}"
SPAN = """
    select
        (select count(*) from (select from {stage} group by anonymous_user_id) as users),
        extract(epoch from min(occurred_at)), extract(epoch from max(occurred_at))
    from {stage}
"""
TWICE = """
    select file, line, made, concat_ws(', ', {unique}), first_file, first_line, count(*) over ()
    from (
        select file, line, made, {unique}, nth, first_value(file) over same as first_file,
            first_value(line) over same as first_line, row_number() over same as time
        from {stage} where {several} or not made window same as (partition by {unique} order by nth)
    ) as seen
    where time > 1 order by nth limit 20
"""
KNOWN = """
    select file, line, concat_ws(', ', {unique}), count(*) over ()
    from {stage} inner join {target} as stored using ({unique})
    order by nth limit 3
"""
# A scan of a temporary table is in the order of its rows.
INSERT = "insert into {target} ({columns}) select {columns} from {stage}"
REPLACE = INSERT + " on conflict ({unique}) do update set {changes}"
LONGEST = """
    select file, line from {stage} order by greatest(octet_length(id), octet_length(event_id),
        octet_length(anonymous_user_id), octet_length(event_name), octet_length(session_id)
    ) desc limit 1
"""
INDEXES = """
    select format('alter table %s drop constraint %I', conrelid::regclass, conname),
        format('alter table %s add constraint %I %s', conrelid::regclass, conname,
            pg_get_constraintdef(oid))
    from pg_constraint where conrelid = {oid}::regclass and contype in ('p', 'u')
    union all
    select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    from pg_index where indrelid = {oid}::regclass and not indisunique
"""
BESIDE_DEMO = (
    "event_logs holds the demo's events too, so the numbers will mix both. For your events alone,"
    " set ROLLUP_HOME to a new folder."
)
IDENTITY = ("anonymous_user_id", "event_name", "occurred_at")
WIDTH = 100  # of the values in a preview
SHOWN = 20  # problems that are printed; the others are counted
HINTS = {  # by what a problem contains
    "column": (
        "Columns of {table}: {columns}. Where a file has other names, use"
        " --map 'user=THEIR_NAME,...'. The first line of a CSV names its columns, separated by"
        " commas, semicolons, tabs or |."
    ),
    "not a time": (
        "A time is ISO 8601, such as 2026-11-24T12:00:00Z, in the zone of --timezone unless it"
        " has an offset, or unix seconds or milliseconds."
    ),
    "not there in": "Is --timezone the zone of these times?",
    "\\udc": (
        "The file is not in UTF-8. If it is in Windows-1252, convert it:"
        " iconv -f WINDOWS-1252 -t UTF-8 FILE | python cli.py load -"
    ),
}


class Source(NamedTuple):
    """A file, or a pipe: what to call it, how to open it, and its size if it is known."""

    name: str
    open: Callable[[], AbstractContextManager[Any]]
    size: int = 0


class Loaded(NamedTuple):
    """What a load wrote, in a sentence, and what else to tell."""

    rows: int
    sentence: str
    notes: list[str]


class BadFile(Failure):
    """Lines that cannot be loaded: the first ones as "line 17: ...", all of them in `total`."""

    def __init__(self, table: str, files: Sequence[Source]) -> None:
        self.table, self.files = table, files
        self.problems: list[str] = []
        self.total = 0

    def place(self, file: int, line: int) -> str:
        return f"{self.files[file].name}, line {line}" if len(self.files) > 1 else f"line {line}"

    def add(self, file: int, line: int, problem: object) -> None:
        self.total += 1
        if len(self.problems) < SHOWN:
            self.problems.append(f"{self.place(file, line)}: {problem}")

    def __str__(self) -> str:
        text, rest = "\n".join(self.problems), self.total - len(self.problems)
        columns = ", ".join(" or ".join(NAMES.get(name, (name,))) for name in TABLES[self.table])
        hints = [
            hint.format(table=self.table, columns=columns)
            for word, hint in HINTS.items()
            if word in text
        ]
        return "\n".join([text, *([f"and {rest} more"] if rest else []), *hints])


def sources(paths: Sequence[str]) -> list[Source]:
    """Return the files of these paths, of which - is standard input. Raises Failure."""
    if paths.count("-") > 1:
        raise Failure("standard input (-) can be read once only.")
    if "-" in paths and sys.stdin is None:
        raise Failure("standard input (-) is closed.")
    return [
        Source("standard input", lambda: nullcontext(sys.stdin.buffer))
        if path == "-"
        else Source(path, partial(Path(path).open, "rb"), os.path.getsize(path))
        for path in paths
    ]


def check_target(conn: psycopg.Connection, into_app: bool) -> None:
    """Raise DatabaseError unless the database is the embedded one or the user asked for it."""
    if not into_app and not is_embedded(conn):
        raise DatabaseError(
            f"DATABASE_URL names {database_name(conn)}, whose event log may be an app's own;"
            " add --into-app to load the file into it all the same."
        )


@contextmanager
def in_a_sentence(conn: psycopg.Connection, schema: str, table: str) -> Iterator[None]:
    """Raise Failure for a table that does not take these rows."""
    try:
        yield
    except psycopg.OperationalError:  # has words of its own
        raise
    except psycopg.DatabaseError as error:
        why = f"cannot be loaded as {conn.info.user}: {error.diag.message_primary}"
        raise Failure(f"{schema}.{table} {why}") from error


def load(
    conn: psycopg.Connection,
    schema: str,
    files: Sequence[Source],
    reader: Reader,
    *,
    replace: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Loaded:
    """Load files into the reader's table in one transaction, the caller's if one is open.

    Creates the source tables where none of the four exists, else those of experiments if they are
    loaded. Rows stay in a temporary table until all of them are checked, so memory stays constant
    and a refused file leaves no trace. `progress(done, total)` counts bytes of files; a pipe has
    no total. With `replace`, rows that are stored already are overwritten.

    Raises BadFile, or Failure when a file was loaded before, or cannot be.
    """
    table, is_events = reader.table, reader.table == EVENTS
    columns, unique = [*TABLES[table]], UNIQUE[table]
    changed = [name for name in columns if name not in (*unique, "id", "created_at")]
    comma = sql.SQL(", ")
    target = sql.Identifier(schema, table)
    names: dict[str, sql.Composable] = {
        "target": target,
        "stage": sql.Identifier("pg_temp", "loaded"),
        "columns": comma.join(map(sql.Identifier, columns)),
        "unique": comma.join(map(sql.Identifier, unique)),
        "changes": comma.join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in changed
        ),
        "several": sql.Literal(len(files) > 1 or not is_events),
        "oid": sql.Literal(target.as_string(conn)),
    }
    with (
        in_a_sentence(conn, schema, table),
        conn.transaction(),
        conn.cursor(row_factory=tuple_row) as cur,
    ):

        def run(query: LiteralString) -> list[tuple]:
            done = cur.execute(sql.SQL(query).format(**names))
            return done.fetchall() if done.description else []

        existing = source.existing_source_tables(conn, schema)
        missing = [name for name in source.TABLES if name not in existing]
        if existing and is_events:
            missing = [name for name in missing if name == EVENTS]
        if missing:
            source.create_source_tables(conn, schema, missing)
        notes = [BESIDE_DEMO] if is_events and demo.found(conn, schema) else []
        run(STAGE)
        run(INSERT)  # no row yet: finds a missing privilege, or a view, before the work
        bad = BadFile(table, files)
        copy_rows(cur, sql.SQL(COPY).format(**names), good_rows(files, reader, bad, progress))
        if not bad.total:
            for file, line, made, key, first_file, first_line, count in run(TWICE):
                first = bad.place(first_file, first_line)
                if made and is_events:
                    problem = f"has no id, and the events up to it are those of {first}"
                else:
                    problem = f"{', '.join(map(named, unique))}: {shown(key)} is in {first} too"
                bad.add(file, line, problem)
                bad.total = count
        if bad.total:
            raise bad
        ((total,),) = run(TOTALS)
        if not replace and table not in missing:
            run("analyze {stage} ({unique})")
            if known := run(KNOWN):
                what = "events" if is_events else "rows"
                ((*_, count), *_) = known
                if count == total:
                    whose = "this file" if len(files) == 1 else "these files"
                    raise Failure(f"the {what} of {whose} are in {table} already: {total} {what}")
                ids = ", ".join(f"{bad.place(*at)}: {shown(key)}" for *at, key, _ in known)
                raise Failure(f"already in {table}: {ids} ({count} in all). Leave them out.")
        # An index of many rows is made faster than it grows.
        indexes = run(INDEXES) if is_events and table in missing else []
        for drop, _ in indexes:
            cur.execute(drop)
        try:
            with conn.transaction():
                run(REPLACE if replace else INSERT)
                for _, create in indexes:
                    cur.execute(create)
        except errors.UniqueViolation as error:  # an event_id, or another load at the same time
            raise Failure(f"already in {table}: {error.diag.message_detail}") from error
        except errors.ProgramLimitExceeded as error:
            if not is_events:
                raise
            ((file, line),) = run(LONGEST)
            bad.add(file, line, "a user, event, id or session too long for an index")
            raise bad from error
        run("analyze {target}")
        span = run(SPAN)[0] if is_events else ()
        run("drop table {stage}")  # the caller's transaction may load another file
    notes += reader.notes()
    if not span:
        return Loaded(total, f"Loaded {total:,} rows of {table}", notes)
    users, *epochs = span
    first_at, last_at = (datetime.fromtimestamp(float(epoch), UTC) for epoch in epochs)
    notes += out_of_reach(first_at, last_at, datetime.now(UTC))
    sentence = f"Loaded {total:,} events of {users:,} users, {iso(first_at)} to {iso(last_at)}"
    return Loaded(total, sentence, notes)


def preview(files: Sequence[Source], reader: Reader, shown_rows: int = 3) -> Loaded:
    """Read all files and check them, without a database; tell what their first rows become.

    Raises BadFile, and Failure.
    """
    bad, columns = BadFile(reader.table, files), [*TABLES[reader.table]]
    first: list[list[str]] = []
    total = 0
    for row in good_rows(files, reader, bad):
        total += 1
        if len(first) < shown_rows:
            first.append(row)
    if bad.total:
        raise bad

    width = WIDTH // max(len(first), 1)

    def cut(text: str) -> str:
        return text if len(text) <= width else f"{text[: width - 3]}..."

    cells = [
        (name, *("NULL" if value is NULL else cut(value) for value in values))
        for name, *values in zip(columns, *first, strict=False)
    ]
    header = ("column", *(bad.place(*map(int, row[-3:-1])) for row in first))
    what = f"{total:,} rows can be loaded into {reader.table}; nothing was written."
    return Loaded(total, f"{table_of(header, cells)}\n{what}", reader.notes())


def copy_rows(cur: psycopg.Cursor, statement: sql.Composed, rows: Iterable[list[str]]) -> None:
    """Copy rows of text, which is several times as fast as psycopg's write_row."""
    with cur.copy(statement) as copy:
        lines: list[str] = []
        size = 0
        for row in rows:
            lines.append("\0".join(row))
            size += len(lines[-1])
            if size > CHUNK:
                copy.write(escaped(lines))
                lines, size = [], 0
        if lines:
            copy.write(escaped(lines))


def escaped(lines: list[str]) -> bytes:
    """Return rows, whose values a NUL separates, in COPY's text format. No value is empty."""
    text = "\0\0E".join((*lines, ""))
    for character, written in ESCAPES:
        text = text.replace(character, written)
    return text.encode()


def good_rows(
    files: Sequence[Source],
    reader: Reader,
    bad: BadFile,
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[list[str]]:
    """Yield rows up to the first problem; read on to collect in `bad` what else is wrong.

    An event's id is made from user, event and time of all events of its file up to its own, so
    the same file gives the same ids, and a file to which events were added begins with those of
    before. Other ids are made from what is unique.
    """
    columns = [*TABLES[reader.table]]
    is_events, has_id = reader.table == EVENTS, columns[0] == "id"
    key = itemgetter(*map(columns.index, IDENTITY if is_events else UNIQUE[reader.table]))
    done, total, nth = 0, sum(file.size for file in files), 0
    if not all(file.size for file in files):
        progress = None
    for number, given in enumerate(files):
        digest, before = hashlib.sha256(), nth
        try:
            with given.open() as file:
                size = file.seek(0, os.SEEK_END) if file.seekable() and file.tell() == 0 else 0
                if size:
                    file.seek(0)
                raw = Counted(file)
                for line, row in records(raw, reader):
                    nth += 1
                    if isinstance(row, Exception):
                        bad.add(number, line, row)
                        continue
                    if made := has_id and row[0] is NULL:
                        if not is_events:
                            digest = hashlib.sha256()
                        digest.update("{}\0{}\0{}\0".format(*key(row), "").encode())
                        row[0] = digest.hexdigest()[:32]
                    if not bad.total:
                        row += (str(made), str(number), str(line), str(nth))
                        yield row
                    if progress and nth % 5_000 == 0:
                        progress(done + raw.count, total)
                if size and file.seek(0, os.SEEK_END) != size:
                    raise Failure(
                        f"{given.name} changed while it was read; load it when it is complete"
                    )
        except OSError as error:
            raise Failure(f"{given.name} cannot be read: {error.strerror}") from error
        done += size
        if progress:
            progress(done, total)
        if nth == before:
            reader.empty.append(given.name)
    if not nth:
        bad.add(0, 1, f"no {'event' if is_events else 'row'} in the file")
    elif not bad.total and reader.unseen:
        names = ", ".join(map(shown, reader.unseen.values()))
        raise Failure(f"--map or --skip names a column that is not in the file: {names}")


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
