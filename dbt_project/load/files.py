"""The records of a file, whose first bytes tell how it is packed, encoded and written."""

import bz2
import codecs
import csv
import gzip
import hashlib
import io
import json
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import IO, Any, cast

from dbt_project.load.event import ALIASES, COLUMNS, DECODER, shown

CHUNK = 1 << 16
csv.field_size_limit(1 << 24)  # as much as an unclosed quote may take into memory
PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
FOREIGN = {
    b"PK\3\4": "a ZIP archive or an Excel workbook",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"PAR1": "a Parquet file",
    b"Obj\1": "an Avro file",
    b"SQLite format 3": "an SQLite database",
    b"PGDMP": "a dump of PostgreSQL",
}
BOMS = {  # UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
GAP = re.compile(r"[\s,]*")
Record = dict | Exception


class BadColumns(ValueError):
    """A column is unknown, missing or there twice."""


class Tee(io.RawIOBase):
    """The bytes of another stream, counted and hashed as they pass."""

    def __init__(self, source: Any):
        self.source, self.digest, self.count = source, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Fills the buffer, so that a peek into a slow pipe sees as much as one into a file.
        count = self.source.readinto(buffer)
        self.digest.update(memoryview(buffer)[:count])
        self.count += count
        return count


class File:
    """A file that is read once, front to back, so pipes work too.

    `raw.count` is how much of it has been read, `content.digest` the hash of what was unpacked.
    """

    def __init__(self, file: IO[bytes]):
        self.raw = self.content = Tee(file)

    def records(self) -> Iterator[tuple[int, Record]]:
        """Yield (first line, record or what is wrong). What follows on damage is not read."""
        line = 1
        try:
            text, start = self._opened()
            read = json_records if start.startswith(("{", "[")) else csv_records
            for line, record in read(text, start):
                yield line, record
        except (EOFError, OSError, UnicodeError, lzma.LZMAError, zlib.error) as error:
            if getattr(error, "errno", None):  # the disk's, not what gzip and bz2 raise
                raise
            yield line, ValueError(f"damaged: {error}")
        except ValueError as error:
            yield line, error

    def _opened(self) -> tuple[io.TextIOWrapper, str]:
        """Return the text, and its beginning without blanks. Raises ValueError for other files."""
        stream = io.BufferedReader(self.raw, CHUNK)
        if unpack := by_start(PACKED, stream.peek()):
            self.content = Tee(unpack(stream))
            stream = io.BufferedReader(self.content, CHUNK)
        start = stream.peek()
        kind = by_start(FOREIGN, start)
        if start.startswith(b"ustar", 257):
            kind = "a tar archive"
        encoding = by_start(BOMS, start) or "utf-8-sig"
        if re.match(rb"\0[ -~]|[ -~]\0", start):
            kind = "UTF-16 without a byte order mark"
        if kind:
            raise ValueError(
                f"this is {kind}; unpack it or export it as CSV, NDJSON or a JSON array, in UTF-8"
            )
        # What is not UTF-8 becomes lone surrogates, which are reported with their line.
        errors = "surrogateescape" if encoding == "utf-8-sig" else "surrogatepass"
        text = io.TextIOWrapper(stream, encoding, errors, newline="")
        return text, start.decode(encoding, "ignore").lstrip()


def by_start(table: dict[bytes, Any], start: bytes) -> Any:
    return next((value for magic, value in table.items() if start.startswith(magic)), None)


@lru_cache
def columns(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return a file's column names as ours. Raises BadColumns."""
    known = {plain(alias): name for name in COLUMNS for alias in (name, *ALIASES.get(name, ()))}
    if unknown := [name for name in names if plain(name) not in known]:
        raise BadColumns(f"unknown column: {', '.join(map(shown, unknown))}")
    found = tuple(known[plain(name)] for name in names)
    for name in found:
        if found.count(name) > 1:
            raise BadColumns(f"{name}: in more than one column")
    for name, aliases in ALIASES.items():
        if name not in found:
            raise BadColumns(f"{name}: no such column (nor {' or '.join(aliases)})")
    return found


def plain(name: str) -> str:
    """Return the form that occurredAt, Occurred At and occurred_at have in common."""
    return re.sub(r"[\s_-]", "", name).casefold()


def filled(names: tuple[str, ...], values: Iterable[Any]) -> dict:
    """Return a record without its blanks."""
    return {
        name: value
        for name, value in zip(names, values, strict=True)
        if value is not None and not (isinstance(value, str) and (not value or value.isspace()))
    }


def csv_records(text: Iterable[str], start: str) -> Iterator[tuple[int, Record]]:
    """Yield (first line, record or what is wrong). Raises BadColumns for the header."""
    head = (start.splitlines() or [""])[0]
    # Where the header has several of them, only a comma can be the separator.
    (found, *others) = [character for character in ";\t|," if character in head] or [","]
    reader = csv.reader(text, strict=True, delimiter="," if others else found)
    header: tuple[str, ...] = ()
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield line, ValueError(f"broken CSV: {error}")
            continue
        if fields is None:
            return
        if not header:
            header = columns(tuple(fields)) if fields else ()
        elif len(fields) == len(header):
            yield line, filled(header, fields)
        elif fields:
            yield line, ValueError(f"{len(fields)} fields, but the header has {len(header)}")


def json_records(text: IO[str], start: str) -> Iterator[tuple[int, Record]]:
    """Yield (first line, record or what is wrong) of an array, or of objects one after another.

    Holds one value at a time.
    """
    buffer, at, line, more = text.read(CHUNK), 0, 1, True
    unclosed = start.startswith("[")
    if unclosed:
        at = buffer.index("[") + 1
        line += buffer.count("\n", 0, at)
    while True:
        gap = cast(re.Match, GAP.match(buffer, at)).end()
        line, at = line + buffer.count("\n", at, gap), gap
        if unclosed and buffer.startswith("]", at):
            unclosed, at = False, at + 1
            continue
        if at == len(buffer) and not more:
            break
        value, end = decoded(buffer, at, more)
        if end == at:
            buffer = buffer[at:] + (chunk := text.read(max(CHUNK, len(buffer) - at)))
            at, more = 0, bool(chunk)
            continue
        try:
            if isinstance(value, Exception):
                raise value
            if not isinstance(value, dict):
                raise ValueError(f"not a JSON object: {shown(value)}")
            yield line, filled(columns(tuple(value)), value.values())
        except ValueError as error:
            yield line, error
        line, at = line + buffer.count("\n", at, end), end
    if unclosed:
        yield line, ValueError("broken JSON: the array does not end")


def decoded(buffer: str, at: int, more: bool) -> tuple[Any, int]:
    """Return a JSON value and its end, which is `at` where more is needed to tell.

    In place of broken JSON comes a ValueError; it reaches to the end of the line.
    """
    try:
        return DECODER.raw_decode(buffer, at)
    except RecursionError:
        problem = "broken JSON: nested too deeply"
    except json.JSONDecodeError as error:
        if more and (error.msg.startswith("Unterminated") or error.pos + 12 > len(buffer.rstrip())):
            return None, at
        problem = f"broken JSON: {error.msg} at character {error.pos - at + 1}"
    except ValueError as error:
        problem = str(error)
    return ValueError(problem), (buffer.find("\n", at) + 1 or len(buffer) + 1) - 1
