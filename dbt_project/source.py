"""The source tables: which of them exist, how to create them, how to fill them quickly."""

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


class SourceNotEmpty(Exception):
    """Source tables are there already, so made-up data must not be mixed into them."""

    def __init__(self, tables: Sequence[str]):
        self.tables = list(tables)
        super().__init__(f"the source tables exist already: {', '.join(self.tables)}")


class SourceIncomplete(Exception):
    """Some source tables exist and others do not: nobody but their owner can tell why."""

    def __init__(self, missing: Sequence[str]):
        self.missing = list(missing)
        super().__init__(f"the source lacks these tables: {', '.join(self.missing)}")


def existing_source_tables(conn: psycopg.Connection, schema: str) -> list[str]:
    """Return those of `TABLES`, in that order, that `schema` holds as a table or a view.

    Asks the catalogue itself, since information_schema hides what the role may not read.
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


def create_source_tables(conn: psycopg.Connection, schema: str) -> None:
    """Create the four tables, and `schema` itself if need be, in one transaction.

    Joins the caller's transaction when one is open. Raises psycopg.errors.DuplicateTable when
    one of the tables exists.
    """
    name = sql.Identifier(schema)
    with conn.transaction():
        # "if not exists" needs the right to create schemas even when the schema exists.
        if not conn.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone():
            conn.execute(sql.SQL("create schema if not exists {}").format(name))
        conn.execute(sql.SQL(DDL.read_text(encoding="utf-8")).format(schema=name), prepare=False)


def copy_rows(
    conn: psycopg.Connection,
    table: sql.Composable,
    rows: Iterable[Sequence[object]],
    tick: Callable[[int], object] | None = None,
) -> None:
    """Stream `rows` into `table`, which may end in a list of columns, with COPY.

    Give times as aware UTC datetimes and jsonb as text: COPY then sends "...+00:00", which
    both timestamp and timestamptz columns read as the same UTC moment in any session zone.
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
