"""The source tables: look for them, create them, copy rows into them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

TABLES = ("event_logs", "assignments", "experiments", "experiment_variants")
EVENT_COLUMNS = (
    "id", "event_id", "anonymous_user_id", "session_id", "install_id", "platform", "app_version",
    "event_name", "occurred_at", "received_at", "sent_at", "properties", "context",
    "assignment_version", "assignments", "experiment_map", "schema_version",
)  # fmt: skip
DDL = Path(__file__).with_name("source.sql")


def existing_source_tables(conn: psycopg.Connection, schema: str) -> list[str]:
    """Return which of `TABLES`, in that order, `schema` has as a table or view.

    Reads pg_catalog, since information_schema hides what the role may not read.
    """
    query = """
        select relation.relname
        from pg_class as relation
        join pg_namespace as space on space.oid = relation.relnamespace
        where
            space.nspname = %s
            and relation.relname = any(%s)
            and relation.relkind in ('r', 'p', 'v', 'm', 'f')
    """
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        found = {name for (name,) in cursor.execute(query, [schema, list(TABLES)])}
    return [table for table in TABLES if table in found]


def create_source_tables(
    conn: psycopg.Connection, schema: str, tables: Sequence[str] = TABLES
) -> None:
    """Create the four tables, or some, and `schema` if it is missing, in one transaction.

    Joins the caller's open transaction. Raises psycopg.errors.DuplicateTable.
    """
    name = sql.Identifier(schema)
    with conn.transaction():
        # Even with "if not exists", an existing schema needs the right to create schemas.
        if not conn.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone():
            conn.execute(sql.SQL("create schema if not exists {}").format(name))
        for statement in DDL.read_text(encoding="utf-8").split(";\n"):
            if any(f"{{schema}}.{table} (" in statement for table in tables):
                conn.execute(sql.SQL(statement).format(schema=name), prepare=False)


def copy_rows(
    conn: psycopg.Connection,
    table: sql.Composable,
    rows: Iterable[Sequence[object]],
    tick: Callable[[int], object] | None = None,
) -> None:
    """Stream `rows` into `table`, which may end in a list of columns, with COPY.

    Times must be aware UTC datetimes, or text that ends in +00:00: timestamp and timestamptz
    columns read both as the same UTC moment in any session zone. jsonb is given as text.
    `tick(rows so far)` is called every 5,000 rows and at the end.
    """
    done = 0
    with conn.cursor() as cur, cur.copy(sql.SQL("copy {} from stdin").format(table)) as copy:
        for done, row in enumerate(rows, start=1):
            copy.write_row(row)
            if tick and done % 5_000 == 0:
                tick(done)
    if tick:
        tick(done)
