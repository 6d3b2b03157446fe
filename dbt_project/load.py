"""Load an app's events from a CSV or NDJSON file into the source's `event_logs`."""

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbt_project import source

REQUIRED = {
    "user": ("user", "anonymous_user_id", "user_id"),
    "event": ("event", "event_name"),
    "occurred_at": ("occurred_at", "time", "timestamp"),
}
OPTIONAL = (
    *("received_at", "experiment_map", "id", "session_id"),
    *("platform", "app_version", "properties"),
)
MEANING = {alias: name for name, aliases in REQUIRED.items() for alias in aliases}
MEANING |= {name: name for name in OPTIONAL}
SHOWN = 20  # problems told one by one; the others are only counted
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)

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


class BadFile(Exception):
    """Lines that cannot be loaded: the first ones as "line 17: ...", all of them in `total`."""

    def __init__(self, problems: list[str], total: int):
        super().__init__(problems, total)
        self.problems = problems
        self.total = total

    def add(self, line: int, problem: object) -> None:
        self.total += 1
        if len(self.problems) < SHOWN:
            self.problems.append(f"line {line}: {problem}")

    def __str__(self) -> str:
        rest = self.total - len(self.problems)
        return "\n".join([*self.problems, *([f"and {rest} more"] if rest else [])])


class AlreadyLoaded(Exception):
    """Events of the file are in `event_logs` already, so nothing of it was loaded."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[io.BufferedReader, io.BufferedIOBase]]:
    """Give the file as it lies on the disk (for its position) and its unpacked content."""
    with path.open("rb") as raw:
        yield raw, gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw


def fingerprint(path: Path) -> str:
    """Return the content's sha256, gzipped or not. Raises BadFile for a damaged .gz."""
    digest, line = hashlib.sha256(), 1
    try:
        with opened(path) as (_, content):
            while chunk := content.read(1 << 20):
                digest.update(chunk)
                line += chunk.count(b"\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadFile([f"line {line}: broken gzip data: {error}"], 1) from error
    return digest.hexdigest()


def is_json(path: Path) -> bool:
    """Tell NDJSON from CSV: by the suffix before .gz, else by a first character `{`."""
    suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if suffix in (".csv", ".ndjson", ".jsonl"):
        return suffix != ".csv"
    with opened(path) as (_, content):
        start = content.read(65_536)
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


@lru_cache
def meanings(names: tuple[str, ...]) -> tuple[str, ...]:
    """Map a file's column names to ours. Raises ValueError if one is unknown, twice or missing."""
    if unknown := [name for name in names if name not in MEANING]:
        raise ValueError(f"unknown column: {', '.join(map(shown, unknown))}")
    found = tuple(MEANING[name] for name in names)
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"{name}: in more than one column")
    for name, aliases in REQUIRED.items():
        if name not in found:
            raise ValueError(f"{name}: no such column (nor {' or '.join(aliases[1:])})")
    return found


def csv_records(lines: Iterable[str]) -> Iterator[tuple[int, dict | Exception]]:
    """Yield (first line, record or what is wrong). After a bad header nothing makes sense."""
    reader, header = csv.reader(lines, strict=True), None
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader, None)
            if fields is None:
                return
            if fields and header is None:
                header = meanings(tuple(name.strip() for name in fields))
            elif fields and len(fields) != len(header):
                raise ValueError(f"{len(fields)} fields, but the header has {len(header)}")
            elif fields:
                yield line, dict(zip(header, fields, strict=True))
        except (ValueError, csv.Error) as error:
            yield line, error
            if header is None:
                return


def json_records(lines: Iterable[str]) -> Iterator[tuple[int, dict | Exception]]:
    """Yield (line, record or what is wrong)."""
    for line, text in enumerate(lines, start=1):
        if text.strip():
            try:
                record = parse_object(text)
                yield line, dict(zip(meanings(tuple(record)), record.values(), strict=True))
            except (ValueError, RecursionError) as error:
                yield line, error


def refuse(constant: str) -> None:
    """Stop at NaN and Infinity, which Python's JSON knows and PostgreSQL's does not."""
    raise ValueError(f"broken JSON: {constant} is not a JSON number")


# Made once: json.loads and json.dumps would make new ones for every line.
DECODER = json.JSONDecoder(parse_constant=refuse)
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def parse_object(text: str) -> dict:
    """Parse a JSON object. Raises ValueError, or RecursionError when nested too deeply."""
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON: {error.msg} at character {error.pos + 1}") from error
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON object: {shown(value)}")
    return value


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def storable(name: str, text: str) -> str:
    """Pass on a text that PostgreSQL can hold. Raises ValueError for any other."""
    if "\0" in text:
        raise ValueError(f"{name}: NUL character in {shown(text)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: invalid UTF-8 in {shown(text)}") from error
    return text


def text_of(record: dict, name: str) -> str | None:
    """Return a text, or None for a blank or absent one. Whole numbers serve as ids too."""
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: not a text: {shown(value)}")
    return storable(name, value) if value and value.strip() else None


def time_of(record: dict, name: str) -> datetime | None:
    """Return an aware UTC time cut to milliseconds, or None for a blank or absent one.

    A number from 10^8 to below 10^11 is unix seconds, from 10^11 on milliseconds: both begin
    in March 1973. Smaller ones are refused, or the date 20261124 would pass for a moment in
    1970. All else is ISO 8601, in UTC unless it carries an offset.
    """
    value = record.get(name)
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    try:
        if isinstance(value, float) or NUMBER.fullmatch(text):
            number = Decimal(text)
            if number < 10**8:
                raise ValueError(text)
            at = EPOCH + timedelta(milliseconds=int(number * 1000 if number < 10**11 else number))
        else:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        at = datetime.max
    except ValueError as error:
        raise ValueError(f"{name}: not a time: {shown(value)}") from error
    if not 1970 <= at.year <= 2199:
        raise ValueError(f"{name}: year out of range: {shown(value)}")
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def object_of(record: dict, name: str) -> str | None:
    """Return a JSON object, given as such or as its text, as text; None for an absent one."""
    value = record.get(name)
    try:
        if isinstance(value, str):
            value = parse_object(value) if value.strip() else None
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ValueError(f"not a JSON object: {shown(value)}")
        text = ENCODER.encode(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError(f"{name}: NUL character in {shown(text)}")
    return storable(name, text)


def event_row(record: dict, digest: str, line: int) -> tuple:
    """Build EVENT_COLUMNS and the line. Raises ValueError for the first bad value."""
    user, event, key, session, platform, version = (
        text_of(record, name)
        for name in ("user", "event", "id", "session_id", "platform", "app_version")
    )
    at, received = time_of(record, "occurred_at"), time_of(record, "received_at")
    for name, value in (("user", user), ("event", event), ("occurred_at", at)):
        if value is None:
            raise ValueError(f"{name}: empty")
    return (
        *(key or f"{digest}-{line}", None, user, session or f"{user}:{at:%Y-%m-%d}", user),
        *(platform or "unknown", version, event, at, received or at, at),
        *(object_of(record, "properties") or "{}", "{}", 0, "{}"),
        *(object_of(record, "experiment_map"), 1, line),
    )


def good_rows(path: Path, content: io.BufferedIOBase, digest: str, bad: BadFile) -> Iterator:
    """Yield rows up to the first problem; read on to collect in `bad` what else is wrong."""
    # Bytes that are not UTF-8 become lone surrogates, which `storable` finds with their line.
    lines = io.TextIOWrapper(content, "utf-8-sig", errors="surrogateescape", newline="")
    empty = True
    for line, record in json_records(lines) if is_json(path) else csv_records(lines):
        empty = False
        try:
            if isinstance(record, Exception):
                raise record
            row = event_row(record, digest, line)
        except csv.Error as error:
            bad.add(line, f"broken CSV: {error}")
        except RecursionError:
            bad.add(line, "broken JSON: nested too deeply")
        except ValueError as error:
            bad.add(line, error)
        else:
            if not bad.total:
                yield row
    lines.detach()  # or its end would close `content`, whose position is still to be told
    if empty:
        bad.add(1, "no event in the file")


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
            tick = progress and (lambda _: progress(raw.tell(), size))
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
