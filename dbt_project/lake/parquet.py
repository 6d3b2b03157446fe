"""Rows of PostgreSQL as a Parquet file: which type each column gets, and how they are copied.

PostgreSQL sends CSV, which pyarrow reads many times as fast as Python could, a group of rows at a
time; so memory does not grow with the table.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from dbt_project import macros
from dbt_project.columns import READ, Column, Relation
from dbt_project.messages import Failure
from dbt_project.source import TABLES

# In bytes of CSV. A larger group is read with less effort, and takes more memory.
GROUP = 32 * 2**20
KEY = b"analytics_rollups"
# Infinite times, and those that neither Python nor Spark's dates can hold, are the ends of these.
MICROSECONDS = """
    case
        when {0} <= '0001-01-01 00:00:00+00' then -62135596800000000
        when {0} >= '9999-12-31 23:59:59.999999+00' then 253402300799999999
        else cast(extract(epoch from {0}) * 1000000 as bigint)
    end
"""
WHOLE = ("int2", "int4", "int8")
# What text a value becomes depends on these.
SETTINGS = """
    set local timezone = 'UTC';
    set local datestyle = 'ISO';
    set local intervalstyle = 'postgres';
    set local bytea_output = 'hex';
    set local extra_float_digits = 1;
    set local client_encoding = 'UTF8';
    set local jit = off
"""


class Exported(NamedTuple):
    """A column of the lake: its name, what it is in SQL, and its kind."""

    name: str
    sql: str
    kind: str


def exported(relation: Relation) -> tuple[list[Exported], list[str]]:
    """Return the columns of a source table that the lake gets, and sentences on those it lacks."""
    read = READ[relation.name]
    found: dict[str, Exported] = {}
    notes = []
    # First those that a run reads, so that no other column takes their names.
    for name, column in sorted(relation.columns.items(), key=lambda item: item[0] not in read):
        where = f"{relation.name}.{name}"
        if not column.readable:
            notes.append(f"{where} is left out: this role may not read it.")
        elif name.lower() == "day" and relation.name == TABLES[0]:
            notes.append(f"{where} is left out: in the lake, day is the day of occurred_at.")
        elif name.lower() in found:
            other = found[name.lower()].name
            notes.append(f"{where} is left out: for Spark it has the same name as {other}.")
        else:
            found[name.lower()] = _exported(column, read.get(name))
    in_order = [found[name.lower()] for name in relation.columns
                if found.get(name.lower(), ("",))[0] == name]  # fmt: skip
    return in_order, notes


def _exported(column: Column, read: str | None) -> Exported:
    name = sql.Identifier(column.name).as_string()
    if read in ("time", "moment") or column.base in ("timestamp", "timestamptz"):
        return Exported(column.name, micros(f"cast({name} as timestamptz)"), "timestamp")
    if read == "flag" or column.base == "bool":
        return Exported(column.name, f"cast({name} as boolean)", "bool")
    if read == "map" or column.base == "json":
        # As jsonb prints it, since keys and values are compared as text.
        text = f"cast({name} as text)"
        if column.base != "jsonb":
            text = f"cast({macros('engine/json').default__jsonb_of(text)} as text)"
        return Exported(column.name, text, "string")
    if column.base in WHOLE and read not in ("text", "name"):
        return Exported(column.name, f"cast({name} as bigint)", "int64")
    if column.base == "float8":
        return Exported(column.name, f"cast({name} as double precision)", "double")
    return Exported(column.name, f"cast({name} as text)", "string")


def micros(instant: str) -> str:
    """Return SQL for a timestamptz as microseconds since 1970."""
    return MICROSECONDS.format(instant)


def write(
    conn: psycopg.Connection,
    columns: list[Exported],
    rows_of: str,
    stream: Any,
    note: dict[str, Any],
    tick: Callable[[int], object],
) -> None:
    """Write the rows of `rows_of`, a `from` clause and more, to a stream, with a note.

    `conn` must be in a transaction with SETTINGS. `tick(rows)` is called after each group. Raises
    Failure for what Parquet cannot hold.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    types = {
        "timestamp": pa.timestamp("us", tz="UTC"), "bool": pa.bool_(), "string": pa.string(),
        "int64": pa.int64(), "double": pa.float64(),
    }  # fmt: skip
    wanted = pa.schema([(column.name, types[column.kind]) for column in columns])
    wanted = wanted.with_metadata({KEY: json.dumps(note)})
    sent = {
        column.name: pa.int64() if column.kind == "timestamp" else types[column.kind]
        for column in columns
    }
    convert = csv.ConvertOptions(
        column_types=sent, null_values=[""], strings_can_be_null=True,
        quoted_strings_can_be_null=False, true_values=["t"], false_values=["f"],
    )  # fmt: skip
    parse = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    select = ", ".join(column.sql for column in columns)
    query = f"copy (select {select} {rows_of}) to stdout (format csv)".encode()
    with (
        parquet.ParquetWriter(stream, wanted, compression="zstd") as writer,
        conn.cursor() as cursor,
    ):
        for group in _groups(cursor, query):
            read = csv.ReadOptions(column_names=[*sent], block_size=len(group) + 1)
            try:
                table = csv.read_csv(pa.BufferReader(group), read, parse, convert)
            except pa.ArrowInvalid as error:
                raise Failure(f"These rows cannot be written as Parquet: {error}.") from None
            writer.write_table(table.cast(wanted), row_group_size=table.num_rows)
            tick(table.num_rows)


def _groups(cursor: psycopg.Cursor, query: bytes) -> Iterator[bytes]:
    """Yield the CSV of a COPY in parts that end where a row ends."""
    parts: list[Any] = []
    size = quotes = 0
    with cursor.copy(query) as copy:
        for part in copy:
            data = bytes(part)
            parts.append(data)
            size += len(data)
            quotes += data.count(b'"')
            # Within quotes, which are doubled there, a line break is part of a value.
            if size > GROUP and quotes % 2 == 0 and data.endswith(b"\n"):
                group = b"".join(parts)
                parts.clear()  # before the group is used, which takes memory too
                size = 0
                yield group
    if parts:
        yield b"".join(parts)


def noted(file: Any) -> dict[str, Any] | None:
    """Return the note of a Parquet file, or None if it has none, or is no such file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with file:
            return json.loads((parquet.read_metadata(file).metadata or {})[KEY])
    except (KeyError, pa.ArrowInvalid):
        return None
