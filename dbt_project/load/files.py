"""The records of a file, whose first bytes tell how it is packed, encoded and written."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

from dbt_project.load.rows import DECODER, Reader, plain, shown

CHUNK = 1 << 16
LIMIT = 1 << 24  # characters of a field or a JSON value: what a missing quote takes into memory
csv.field_size_limit(LIMIT)
# Each table maps how a file begins.
PACKED = {rb"\x1f\x8b": gzip.open, b"BZh": bz2.open, rb"\xfd7zXZ\0": lzma.open}
ENCODINGS = {
    rb"\xff\xfe\0\0|\0\0\xfe\xff": "utf-32",
    rb"\xff\xfe|\xfe\xff": "utf-16",
    rb"[ -~]\0[^\0]": "utf-16-le",
    rb"\0[ -~]\0": "utf-16-be",
}
FOREIGN = {
    rb"(?s)PK\x03\x04.*(\[Content_Types\]|xl/)": "an Excel workbook",
    rb"PK\x03\x04": "a ZIP archive",
    b"(?s).{257}ustar": "a tar archive",
    rb"7z\xbc\xaf|Rar!": "a 7z or RAR archive",
    rb"\x28\xb5\x2f\xfd": "compressed by zstd",
    rb"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"PAR1": "a Parquet file",
    rb"(\xef\xbb\xbf)?\s*<": "HTML or XML",
    rb"[^\n]*[\0-\x08\x0e-\x1d\x1f]": "binary data",
}
GAP = re.compile(r"[\s,]*")
# An array, alone or as the first value of an object.
OPENING = re.compile(r'\[|\{\s*"([^"\\]*)"\s*:\s*\[(?=\s*[{\]])')
WHOLE = 1 << 20  # characters within which an object has to end that begins with such an array
EMPTY = {"csv": frozenset(("", "NULL", "null", r"\N")), "json": frozenset(("",))}
Record = list | Exception


class Counted(io.RawIOBase):
    """The bytes of another stream, counted as they pass."""

    def __init__(self, source: IO[bytes]):
        self.source: Any = source
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Fills the buffer, so that a peek into a slow pipe sees as much as one into a file.
        count = self.source.readinto(buffer)
        self.count += count
        return count


def records(raw: io.RawIOBase, reader: Reader) -> Iterator[tuple[int, Record]]:
    """Yield (first line, row or what is wrong) of a stream that is read once, front to back.

    What follows on damage is not read. Raises OSError when the stream cannot be read.
    """
    line = 1
    try:
        text, start = opened(raw)
        if start.startswith(("{", "[")):
            read = json_records(text, reader)
        else:
            read = csv_records(text, start, reader)
        for line, record in read:
            yield line, record
    except (EOFError, OSError, UnicodeError, lzma.LZMAError, zlib.error) as error:
        if getattr(error, "errno", None):  # the disk's, not what gzip and bz2 raise
            raise
        yield line, ValueError(f"damaged: {error}")
    except ValueError as error:
        yield line, error


def opened(raw: io.RawIOBase) -> tuple[io.TextIOWrapper, str]:
    """Return the text, and its beginning without blanks. Raises ValueError for other files."""
    stream = io.BufferedReader(raw, CHUNK)
    if unpack := by_start(PACKED, stream.peek()):
        stream = io.BufferedReader(unpack(stream), CHUNK)
    start = stream.peek()
    encoding = by_start(ENCODINGS, start)
    if not encoding and (kind := by_start(FOREIGN, start)):
        raise ValueError(
            f"this is {kind}; unpack it or export it as CSV, NDJSON or a JSON array, in UTF-8"
        )
    # What is not UTF-8 becomes lone surrogates, which are reported with their line.
    errors = "surrogatepass" if encoding else "surrogateescape"
    encoding = encoding or "utf-8-sig"
    text = io.TextIOWrapper(stream, encoding, errors, newline="")
    return text, start.decode(encoding, "ignore").lstrip()


def by_start(table: dict[bytes, Any], start: bytes) -> Any:
    return next((value for pattern, value in table.items() if re.match(pattern, start)), None)


def csv_records(text: IO[str], start: str, rows: Reader) -> Iterator[tuple[int, Record]]:
    """Yield (first line, row or what is wrong). Raises ValueError for the header."""
    head = (start.splitlines() or [""])[0]
    # A wrong choice does no harm: required columns are missing then. Excel writes the line sep=.
    told = re.fullmatch(r"sep=(.)", head)
    delimiter = told[1] if told else max(",;\t|", key=head.count)
    reader = csv.reader(text, strict=True, delimiter=delimiter)
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
        while len(fields) > len(header) and not fields[-1].strip():
            fields.pop()  # Excel ends lines with empty fields
        if not any(map(str.strip, fields)):
            continue
        if told:
            told = None
        elif not header:
            header = tuple(fields)
            rows.plan(header)  # raises ValueError
        elif len(fields) == len(header):
            try:
                yield line, rows.row(header, fields, EMPTY["csv"])
            except ValueError as error:
                yield line, error
        else:
            count = f"{len(fields)} fields, but the header has {len(header)}"
            yield line, ValueError(f"{count}: {shown(delimiter.join(fields))}")


def json_records(text: IO[str], rows: Reader) -> Iterator[tuple[int, Record]]:
    """Yield (first line, row or what is wrong) of objects and arrays one after another.

    An array may be the only value of an object. Holds one value at a time.
    """
    buffer, at, line, more, closing, key = "", 0, 1, True, "", ""
    while True:
        gap = cast(re.Match, GAP.match(buffer, at)).end()
        line, at = line + buffer.count("\n", at, gap), gap
        if closing and buffer.startswith(closing[0], at):
            closing, at = closing[1:], at + 1
            continue
        if at == len(buffer) and not more:
            break
        opening = None if closing else OPENING.match(buffer, at)
        name = opening[1] if opening else None
        value, end = (None, at) if opening and name is None else decoded(buffer, at, more)
        # An event of many columns may begin as an object does that has only an array.
        seen = end > at or len(buffer) - at >= WHOLE
        if opening and (
            name is None or (seen and plain(name) not in rows.known and not rows.is_row(value))
        ):
            closing, key = "]" if name is None else "]}", shown(name)
            line, at = line + buffer.count("\n", at, opening.end()), opening.end()
            continue
        if end == at:
            if len(buffer) - at > LIMIT:
                yield line, ValueError(f"a JSON value of more than {LIMIT:,} characters")
                return
            buffer = buffer[at:] + (chunk := text.read(max(CHUNK, len(buffer) - at)))
            at, more = 0, bool(chunk)
            continue
        try:
            if isinstance(value, Exception):
                raise value
            if closing == "}":
                raise ValueError(f"unknown column: {key}, or a value beside its array of events")
            if not isinstance(value, dict):
                raise ValueError(f"not a JSON object: {shown(value)}")
            yield line, rows.row(tuple(value), value.values(), EMPTY["json"])
        except ValueError as error:
            yield line, error
            if closing == "}":
                return
        line, at = line + buffer.count("\n", at, end), end
    if closing:
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
