"""Writes the source tables of a PostgreSQL to a lake, as Parquet that Spark reads."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from dbt_project.source import TABLES

TYPES = {
    "boolean": pa.bool_(),
    "smallint": pa.int64(),
    "integer": pa.int64(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "timestamp without time zone": pa.timestamp("us", "UTC"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}
# Spark's timestamps end here; infinite ones are as far as they go.
ENDS = {"infinity": datetime(9999, 12, 31, 23, 59, 59, 999999), "-infinity": datetime(1, 1, 1)}


def write(conn: psycopg.Connection, lake: Path, schema: str = "public") -> None:
    """Write all four tables to `lake`, in place of what is there; events by their UTC day."""
    shutil.rmtree(lake, ignore_errors=True)
    for name in TABLES:
        columns = _columns(conn, schema, name)
        if not columns:
            continue
        table = _table(conn, schema, name, columns)
        if name != "event_logs":
            (lake / name).mkdir(parents=True)
            pq.write_table(table, lake / name / "part-0.parquet")
            continue
        days = [at.date() if at else None for at in table["occurred_at"].to_pylist()]
        for day in sorted(set(days), key=str):
            folder = lake / name / f"day={day or '__HIVE_DEFAULT_PARTITION__'}"
            folder.mkdir(parents=True)
            rows = table.filter(pa.array([day == other for other in days]))
            pq.write_table(rows, folder / "part-0.parquet")


def _columns(conn: psycopg.Connection, schema: str, name: str) -> dict[str, str]:
    return dict(
        conn.execute(
            "select column_name, data_type from information_schema.columns"
            " where table_schema = %s and table_name = %s order by ordinal_position",
            [schema, name],
        ).fetchall()
    )


def _table(conn: psycopg.Connection, schema: str, name: str, columns: dict[str, str]) -> pa.Table:
    """Read a table; what has no type of its own is text, JSON as jsonb prints it."""
    selected = [
        sql.SQL(
            {
                "timestamp without time zone": "({} at time zone 'UTC')::text",
                "timestamp with time zone": "({})::text",
                "json": "{}::jsonb::text",
            }.get(kind, "{}" if kind in TYPES else "{}::text")
        ).format(sql.Identifier(column))
        for column, kind in columns.items()
    ]
    query = sql.SQL("select {} from {}.{}").format(
        sql.SQL(", ").join(selected), sql.Identifier(schema), sql.Identifier(name)
    )
    with conn.transaction(force_rollback=True), conn.cursor() as cursor:
        cursor.execute("set local timezone = 'UTC'")
        rows = cursor.execute(query).fetchall()
    arrays = []
    for number, kind in enumerate(columns.values()):
        values = [row[number] for row in rows]
        if kind.startswith("timestamp"):
            values = [_instant(value) for value in values]
        arrays.append(pa.array(values, TYPES.get(kind, pa.string())))
    return pa.table(dict(zip(columns, arrays, strict=True)))


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    return (ENDS.get(text) or datetime.fromisoformat(text)).replace(tzinfo=UTC)
