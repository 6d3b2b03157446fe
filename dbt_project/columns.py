"""The columns that the source tables must have, and what the catalogue says of those there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import psycopg
from psycopg import sql

from dbt_project import ROOT
from dbt_project.source import EVENT_COLUMNS

# Reading these fails, as it would in a run, where the column's type does not serve. PostgreSQL is
# asked, since domains, enums and types of extensions serve too.
SERVES = {
    "text": "cast({0} as text)",
    "name": "{0} >= {0}",  # also sorted
    "time": "date_part('epoch', {0} - {0}), cast({0} as timestamptz)",
    "moment": "cast({0} as timestamptz)",
    "map": "cast({0} as jsonb)",
    "jsonb": "jsonb_typeof({0})",
    "number": "{0} between 1e-9 and 1e9",
    "flag": "not {0}",
}
CALLED = {
    "time": "timestamp or timestamptz", "moment": "timestamp or timestamptz", "map": "jsonb",
    "jsonb": "jsonb",
    "name": "a type that can be sorted, such as text", "number": "a number", "flag": "boolean",
}  # fmt: skip
# By table, what a run reads: the kind of each column.
READ = {
    "event_logs": {
        "anonymous_user_id": "name", "event_name": "text", "occurred_at": "time",
        "received_at": "time", "experiment_map": "map",
    },
    "assignments": {
        "anonymous_user_id": "text", "experiment_id": "text", "variant_id": "text",
        "assigned_at": "moment",
    },
    "experiments": {
        "experiment_id": "text", "status": "text", "start_at": "moment", "end_at": "moment",
        "targeting": "text",
    },
    "experiment_variants": {
        "experiment_id": "text", "variant_id": "text", "variant_name": "name", "weight": "number",
        "is_control": "flag",
    },
}  # fmt: skip
EXPERIMENT_TABLES = tuple(table for table in READ if table != "event_logs")
CATALOGUE = """
    select
        nspname,
        relname,
        quote_ident(nspname) || '.' || quote_ident(relname),
        attname,
        quote_ident(attname),
        base.typname,
        typcategory,
        format_type(atttypid, atttypmod),
        has_schema_privilege(pg_namespace.oid, 'usage')
        and has_column_privilege(pg_class.oid, attnum, 'select')
    from pg_class
    inner join pg_namespace on pg_namespace.oid = relnamespace
    left join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    left join lateral (
        with recursive types as (
            select oid, typname, typcategory, typbasetype from pg_type where oid = atttypid
            union all
            select one.oid, one.typname, one.typcategory, one.typbasetype
            from types inner join pg_type as one on one.oid = types.typbasetype
        )
        select typname, typcategory from types where typbasetype = 0
    ) as base on true
    where
        relkind in ('r', 'p', 'v', 'm', 'f')
        and (nspname = %(schema)s or %(schema)s is null)
        and (relname = any(%(tables)s) or %(tables)s is null)
        and nspname not in ('pg_catalog', 'information_schema')
        and nspname !~ '^pg_(toast|temp)'
        and (not relispartition or nspname = %(schema)s)
    order by nspname, relname, attnum
"""


@dataclass(frozen=True)
class Column:
    """A column that is there. `base` is the name of its type, of a domain that of its base."""

    name: str
    sql: str
    base: str
    category: str
    type: str
    readable: bool


@dataclass(frozen=True)
class Relation:
    """A table, a view or a foreign table, with its columns by name."""

    schema: str
    name: str
    sql: str
    columns: dict[str, Column]


def relations(
    conn: psycopg.Connection, schema: str | None = None, tables: Iterable[str] | None = None
) -> list[Relation]:
    """Return what the catalogue knows, of all schemas and tables or of the given ones."""
    values = {"schema": schema, "tables": tables and list(tables)}
    found: dict[tuple[str, str], Relation] = {}
    for space, table, quoted, *column in conn.execute(CATALOGUE, values):
        relation = found.setdefault(
            (space, table), Relation(space, table, printable_name(quoted), {})
        )
        if column[0] is not None:
            name, quoted, *rest = column
            relation.columns[name] = Column(name, printable_name(quoted), *rest)
    return list(found.values())


def printable_name(quoted: str) -> str:
    """Return SQL for quoted names without characters that a terminal would obey."""
    if quoted.isprintable():
        return quoted
    escaped = (
        "\\\\" if char == "\\" else char if char.isprintable() else f"\\+{ord(char):06x}"
        for char in quoted
    )
    return re.sub(r'("([^"]|"")*")', r"U&\1", "".join(escaped))


@cache
def dimensions() -> dict[str, str]:
    """Return the columns of `event_logs` that the var `dimensions` reads, with their kinds.

    A malformed var has none: dbt refuses it with what to write instead.
    """
    import yaml  # comes with dbt

    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    given = project.get("vars", {}).get("dimensions")
    paths = [
        name.split(".") for name in given or () if isinstance(given, list) and isinstance(name, str)
    ]
    return {path[0]: "text" for path in paths} | {path[0]: "jsonb" for path in paths if path[1:]}


def needed(table: str, jobs: Iterable[str]) -> dict[str, str]:
    """Return the columns that the jobs cannot do without, with their kinds."""
    columns = dict(READ[table])
    if table == "event_logs":
        if "experiment" not in jobs:
            del columns["experiment_map"]
        columns |= {name: kind for name, kind in dimensions().items() if name not in columns}
    return columns


def unread(relation: Relation, jobs: Iterable[str]) -> list[str] | None:
    """Return the columns that a run reads and this role may not, or None where it may read none."""
    if not any(column.readable for column in relation.columns.values()):
        return None
    wanted: Iterable[str] = relation.columns  # of the smaller tables dbt reads all
    if relation.name == "event_logs":
        wanted = [*needed("event_logs", jobs), "experiment_map"]
    return [
        name
        for name in dict.fromkeys(wanted)
        if name in relation.columns and not relation.columns[name].readable
    ]


def mistyped(
    conn: psycopg.Connection, relation: Relation, wanted: dict[str, str]
) -> dict[str, Column]:
    """Return the columns whose types do not serve, as PostgreSQL itself says.

    `conn` must be in a transaction. Reads no row.
    """
    there = {name: kind for name, kind in wanted.items() if name in relation.columns}
    if _serves(conn, relation, there):
        bad = set()
    else:
        bad = {name for name in there if not _serves(conn, relation, {name: there[name]})}
    # Its text is no JSON, though it casts to jsonb.
    bad |= {name for name in there if relation.columns[name].base == "hstore" and name not in bad
            and there[name] == "map"}  # fmt: skip
    return {name: relation.columns[name] for name in there if name in bad}


def _serves(conn: psycopg.Connection, relation: Relation, wanted: dict[str, str]) -> bool:
    # Qualified, since a column that is not there could be found elsewhere.
    reads = [
        SERVES[kind].format(f"logs.{sql.Identifier(name).as_string()}")
        for name, kind in wanted.items()
    ]
    table = sql.Identifier(relation.schema, relation.name).as_string()
    # PostgreSQL 15 would evaluate a subquery of a view beside `where false`.
    query = f"select {', '.join(reads)} from {table} as logs limit 0"
    try:
        with conn.transaction():
            conn.execute(query.encode())
    except psycopg.Error as error:
        # Errors of names and types, and of an operand that cannot be read as the column's type.
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            raise
        if error.sqlstate and error.sqlstate[:2] in ("42", "22"):
            return False
        raise
    return True


def optional(table: str) -> tuple[str, ...]:
    """Return the columns that a mapping view hands through where they are there."""
    return EVENT_COLUMNS if table == "event_logs" else tuple(READ[table])
