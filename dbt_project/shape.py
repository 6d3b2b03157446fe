"""Tells tables that a run can write from tables of the same names that another system made.

dbt would take either for its own, and fail on a column that it does not fill, or go on without
the unique index and double rows.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg

from dbt_project import ROOT
from dbt_project.database import DatabaseError


@dataclass(frozen=True)
class Shape:
    """What a table needs: `types` by column, `filled` columns a row gets, and its `key`."""

    types: dict[str, str]
    needed: frozenset[str]
    filled: frozenset[str]
    key: tuple[str, ...]


INSTANT = "timestamp with time zone"
RUN_LOG_TYPES = {
    "job_name": "text",
    "status": "text",
    "started_at": INSTANT,
    "finished_at": INSTANT,
    "window_start": INSTANT,
    "window_end": INSTANT,
    "rows_written": "integer",
    "ignored_count": "integer",
    "error_text": "text",
}
RUN_LOG = Shape(
    RUN_LOG_TYPES,
    frozenset(RUN_LOG_TYPES),
    frozenset({"id", "job_name", "status", "window_start", "window_end"}),
    (),
)


def check(conn: psycopg.Connection, schema: str) -> None:
    """Raise DatabaseError when a table in `schema` has one of our names and not our shape."""
    told = [
        f"{table} ({'; '.join(problems[:2])}{' …' if problems[2:] else ''})"
        for table, shape in {**_models(), "rollup_runs": RUN_LOG}.items()
        if (problems := _problems(conn, schema, table, shape))
    ]
    if told:
        raise DatabaseError(
            f"Another system made these tables in schema {schema}: {', '.join(told)}. Let"
            " ANALYTICS_SCHEMA name another schema; docs/migration.md tells how to move over."
        )


@cache
def _models() -> dict[str, Shape]:
    """Return the shapes that the models' yml files promise."""
    import yaml  # comes with dbt

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    files = (yaml.load(path.read_text(), loader) for path in sorted(ROOT.glob("models/*/*.yml")))
    models = [model for file in files for model in file.get("models", [])]
    return {model["name"]: _shape(model) for model in models if "config" in model}


def _shape(model: dict[str, Any]) -> Shape:
    columns, key = model["columns"], model["config"]["unique_key"]
    return Shape(
        {column["name"]: column["data_type"] for column in columns},
        # dbt appends a column that the table lacks, but only with nulls.
        frozenset(column["name"] for column in columns if "constraints" in column),
        frozenset(column["name"] for column in columns),
        (key,) if isinstance(key, str) else tuple(key),
    )


def _problems(conn: psycopg.Connection, schema: str, table: str, shape: Shape) -> list[str]:
    query = """
        select
            attname,
            format_type(atttypid, atttypmod),
            attnotnull and not atthasdef and attidentity = ''
        from pg_attribute
        where
            attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))
            and attnum > 0
            and not attisdropped
        order by attnum
    """
    columns = conn.execute(query, [schema, table]).fetchall()
    if not columns:
        return []
    problems = [
        f"column {name} is {kind}, not {shape.types[name]}"
        for name, kind, _ in columns
        if name in shape.types and kind != shape.types[name]
    ]
    problems += [
        f"column {name} must be filled and nobody does"
        for name, _, must_be_filled in columns
        if must_be_filled and name not in shape.filled
    ]
    missing = sorted(shape.needed - {name for name, *_ in columns})
    problems += [f"there is no column {name}" for name in missing]
    if shape.key and not missing and not _is_unique(conn, schema, table, shape.key):
        problems.append(f"no unique index on ({', '.join(shape.key)})")
    return problems


def _is_unique(conn: psycopg.Connection, schema: str, table: str, key: tuple[str, ...]) -> bool:
    query = """
        select array(
            select cast(attname as text)
            from pg_attribute
            where attrelid = indrelid and attnum = any((cast(indkey as int2[]))[0:indnkeyatts - 1])
            order by attname collate "C"
        )
        from pg_index
        where
            indrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))
            and indisunique
            and indisvalid
            and indpred is null
            and indexprs is null
    """
    found = conn.execute(query, [schema, table]).fetchall()
    return any(columns == sorted(key) for (columns,) in found)
