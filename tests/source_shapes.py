"""Source tables with other types and constraints than Prisma's defaults."""

import psycopg
from tables import App

from dbt_project.source import TABLES

TIMES = """
    select format(
        'alter table %I alter %I type timestamptz using %2$I at time zone ''UTC''',
        table_name, column_name
    )
    from information_schema.columns
    where table_schema = 'public' and data_type = 'timestamp without time zone'
"""
IDS = (
    ("event_logs", "anonymous_user_id"),
    ("assignments", "anonymous_user_id"),
    ("assignments", "experiment_id"),
    ("assignments", "variant_id"),
    ("experiments", "experiment_id"),
    ("experiment_variants", "experiment_id"),
    ("experiment_variants", "variant_id"),
)
JSON = """
    select format('alter table %I alter %I drop default, alter %2$I type json using %2$I::json',
        table_name, column_name)
    from information_schema.columns
    where table_schema = 'public' and data_type = 'jsonb'
"""


def with_time_zones(source: App) -> None:
    """Turn every time of the source into a `timestamptz`, of the same instant."""
    for (statement,) in source.conn.execute(TIMES).fetchall():
        source.do(statement)


def with_json(source: App) -> None:
    """Turn every `jsonb` into `json`, which keeps texts that jsonb refuses."""
    for (statement,) in source.conn.execute(JSON).fetchall():
        source.do(statement)


def with_ids(source: App, type_: str) -> None:
    """Turn the ids of users, experiments and variants into another type."""
    for table, column in IDS:
        source.do(f"alter table {table} alter {column} type {type_} using {column}::{type_}")


def with_enums(source: App) -> None:
    """Make the status and the events' names enums, as Prisma does, quoted names and all."""
    source.do("""create type "ExperimentStatus" as enum ('DRAFT', 'RUNNING', 'PAUSED', 'ENDED')""")
    source.do("""
        alter table experiments
            alter status drop default, alter status type "ExperimentStatus"
            using status::"ExperimentStatus"
    """)
    # No value for session_submitted, which the rollups ask for by name.
    source.do("create type \"EventName\" as enum ('app_opened', 'tab_opened', 'other')")
    source.do("""alter table event_logs alter event_name type "EventName"
        using event_name::"EventName" """)


def as_views(source: App) -> None:
    """Put each table into another schema, with a view in its place."""
    source.do("create schema app")
    for table in TABLES:
        source.do(f"alter table {table} set schema app")
        source.do(f"create view {table} as select * from app.{table}")


def nullable(source: App, *tables: str) -> None:
    """Let columns be null, and rows be double: drop the tables' keys and `not null`s."""
    for table in tables:
        for (name,) in source.conn.execute(
            "select conname from pg_constraint where conrelid = %s::regclass and contype in"
            " ('p', 'u')",
            [table],
        ).fetchall():
            source.do(f'alter table {table} drop constraint "{name}"')
        for (column,) in source.conn.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and attnotnull",
            [table],
        ).fetchall():
            source.do(f"alter table {table} alter {column} drop not null")


def with_collations(source: App, other: str) -> None:
    """Give ids of one kind different collations, "C" and another; names the other."""
    collations = (other, '"C"', other, other, '"C"', other, '"C"')
    for (table, column), collation in zip(IDS, collations, strict=True):
        source.do(f"alter table {table} alter {column} type text collate {collation}")
    source.do(f"alter table event_logs alter event_name type text collate {other}")


def can_fold(source: App) -> bool:
    """Create the collation `folded`, which ignores case, if the server was built with ICU."""
    try:
        source.do("""create collation folded (
            provider = icu, locale = 'und-u-ks-level2', deterministic = false
        )""")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True
