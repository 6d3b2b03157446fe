"""Looks before a run leaps: what is missing is said in one sentence, with nothing written."""

import psycopg

from dbt_project import shape
from dbt_project.database import DatabaseError
from dbt_project.jobs import ROLLUPS
from dbt_project.source import TABLES, existing_source_tables

OURS = ["rollup_runs", "experiment_catalog", "funnel_steps", *ROLLUPS.values()]


def check(conn: psycopg.Connection, source_schema: str, analytics_schema: str) -> None:
    """Raise DatabaseError unless the source can be read and the analytics schema written."""
    if not _one(conn, "select current_database() = %s", conn.info.dbname):
        raise DatabaseError(
            f"The pooler calls the database {conn.info.dbname}, the server calls it otherwise, and"
            " dbt needs one name. Give the pooler's entry the database's own name."
        )
    missing = sorted(set(TABLES) - set(existing_source_tables(conn, source_schema)))
    if missing:
        raise DatabaseError(
            f"The source tables {', '.join(missing)} are not in schema {source_schema} of database"
            f" {conn.info.dbname}. Point DATABASE_URL or SOURCE_SCHEMA at the app's tables, or try"
            " `python cli.py demo` on an empty database."
        )
    role = conn.info.user
    unreadable = [
        table
        for table in TABLES
        if not _one(
            conn,
            "select has_schema_privilege(s.oid, 'usage') and has_table_privilege(t.oid, 'select')"
            " from pg_class as t join pg_namespace as s on s.oid = t.relnamespace"
            " where s.nspname = %s and t.relname = %s",
            source_schema,
            table,
        )
    ]
    if unreadable:
        raise DatabaseError(
            f"Role {role} may not read {', '.join(unreadable)} in schema {source_schema}. Grant it"
            f" usage on the schema and select on the tables, as `init --writer {role}` does."
        )
    if not _one(
        conn,
        "select coalesce(has_schema_privilege(to_regnamespace(quote_ident(%s)), 'create'),"
        " has_database_privilege(current_database(), 'create'))",
        analytics_schema,
    ):
        raise DatabaseError(
            f"Role {role} may not create tables in schema {analytics_schema}. Grant it create and"
            f" usage on that schema, as `init --writer {role}` does, or create on the database."
        )

    shape.check(conn, analytics_schema)
    locked = conn.execute(
        "select t.relname from pg_class as t join pg_namespace as s on s.oid = t.relnamespace"
        " where s.nspname = %s and t.relname = any(%s) and not ("
        " has_table_privilege(t.oid, 'select') and has_table_privilege(t.oid, 'insert')"
        " and has_table_privilege(t.oid, 'update') and has_table_privilege(t.oid, 'delete'))"
        " order by 1",
        [analytics_schema, OURS],
    ).fetchall()
    if locked:
        raise DatabaseError(
            f"Role {role} may not write {', '.join(name for (name,) in locked)} in schema"
            f" {analytics_schema}. Run as the role that made them, or hand them over with"
            f" `init --writer {role}`."
        )


def _one(conn: psycopg.Connection, query: str, *values: str) -> bool:
    row = conn.execute(query, values).fetchone()
    return bool(row and row[0])
