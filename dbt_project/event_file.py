"""Reads events from a CSV or NDJSON file, line by line, and tells what is wrong with which line."""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from dbt_project.event_values import object_of, parse_object, shown, text_of, time_of

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


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Give the file as it lies on the disk (for its position) and its unpacked content."""
    with path.open("rb") as raw:
        packed = path.suffix.lower() == ".gz"
        yield raw, cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if packed else raw


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
            if not fields:
                continue
            if header is None:
                header = meanings(tuple(name.strip() for name in fields))
            elif len(fields) != len(header):
                raise ValueError(f"{len(fields)} fields, but the header has {len(header)}")
            else:
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


def good_rows(path: Path, content: IO[bytes], digest: str, bad: BadFile) -> Iterator:
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
