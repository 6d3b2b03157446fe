"""The tables that runs write: whether the role may, and whether they are this project's."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from dbt_project import ROOT, run_log
from dbt_project.database import only_row
from dbt_project.messages import DatabaseError, one_line
from dbt_project.window import ROLLUPS

OURS = [
    "rollup_alerts", "rollup_runs", "active_user_rollups", "daily_dimension_rollups",
    "experiment_catalog", "experiment_health", "experiment_metrics", "experiment_readouts",
    "experiment_statistics", "funnel_conversion_rollups", "funnel_steps", *ROLLUPS.values(),
]  # fmt: skip
FOREIGN = Path(__file__).with_name("foreign_code.sql")
COLUMNS = """
    select
        attname,
        replace(format_type(atttypid, atttypmod), '"', ''),  -- of quote_all_identifiers
        attnotnull and not atthasdef and attidentity = ''
    from pg_attribute
    where
        attrelid = to_regclass(quote_ident(%(schema)s) || '.' || quote_ident(%(table)s))
        and attnum > 0
        and not attisdropped
    order by attnum
"""
UNIQUE = """
    select array(
        select cast(attname as text)
        from pg_attribute
        where attrelid = indrelid and attnum = any((cast(indkey as int2[]))[0:indnkeyatts - 1])
        order by attname collate "C"
    )
    from pg_index
    where
        indrelid = to_regclass(quote_ident(%(schema)s) || '.' || quote_ident(%(table)s))
        and indisunique
        and indisvalid
        and indpred is null
        and indexprs is null
"""


def check(conn: psycopg.Connection, analytics: str) -> None:
    """Raise DatabaseError unless the jobs can write the analytics schema.

    Refuses tables that another system made, or that would run code of another role.
    """
    with conn.transaction():
        _check_right_to_create(conn, analytics)
        check_schema(conn, analytics)
        check_code(conn, analytics)


def _check_right_to_create(conn: psycopg.Connection, analytics: str) -> None:
    may_create = (
        "select coalesce(has_schema_privilege(to_regnamespace(quote_ident(%s)), 'create'),"
        " has_database_privilege(current_database(), 'create'))"
    )
    if not only_row(conn, may_create, [analytics])[0]:
        raise DatabaseError(
            f"Role {conn.info.user} may not create tables in schema {analytics}. Grant it create"
            f" and usage on that schema, as `init --writer {conn.info.user}` does, or create on the"
            " database."
        )


def check_code(conn: psycopg.Connection, analytics: str, *, owners: bool = True) -> None:
    """Raise DatabaseError where using our tables would run code of others with our rights.

    Without `owners` the tables may belong to any role, which could add such code at any time.
    """
    found = [
        one_line(f"{table} {what}")
        for table, what in conn.execute(FOREIGN.read_bytes(), [analytics, OURS])
        if owners or not what.startswith("belongs to")
    ]
    if found:
        raise DatabaseError(
            f"In schema {analytics} {', '.join(found)}, so code of another role could run with"
            " this one's rights. Drop what is not this project's, and run as the role that made"
            f" the tables, or hand them over with `init --writer {conn.info.user}`."
        )


@dataclass(frozen=True)
class Columns:
    """What a table needs: `types` by column, `filled` columns that a run writes, and its `key`."""

    types: dict[str, str]
    needed: frozenset[str]
    filled: frozenset[str]
    key: tuple[str, ...]


def check_schema(conn: psycopg.Connection, analytics: str, *, writes: bool = True) -> None:
    """Raise DatabaseError when a table has one of our names, but another system made it.

    dbt would take it for its own, and fail on a column that it does not write, or go on without
    the unique index and duplicate rows. Without `writes` only what a reader needs counts.
    """
    found = [
        one_line(f"{table} ({'; '.join(problems[:2])}{' …' if problems[2:] else ''})")
        for table, ours in {**_models(), "rollup_runs": _run_log()}.items()
        if (problems := _problems(conn, analytics, table, ours, writes))
    ]
    if found:
        raise DatabaseError(
            f"Another system made these tables in schema {analytics}: {', '.join(found)}. Let"
            " ANALYTICS_SCHEMA name another schema; docs/migration.md tells how to move over."
        )


def _run_log() -> Columns:
    """Return the columns that the run log begins with; `id` may be of any type."""
    found = re.findall(r"^    (\w+) (text|integer|timestamptz)\b", run_log.DDL.read_text(), re.M)
    types = {name: kind.replace("tz", " with time zone") for name, kind in found}
    return Columns(types, frozenset(types), frozenset(run_log.STARTED), ())


@cache
def _models() -> dict[str, Columns]:
    """Return what the models' yml files promise."""
    return {name: _columns(model) for name, model in described().items() if "config" in model}


@cache
def described() -> dict[str, dict[str, Any]]:
    """Return what the models' yml files say, by model, and as `job` the folder."""
    import yaml  # comes with dbt

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {
        model["name"]: model | {"job": path.parent.name}
        for path in sorted(ROOT.glob("models/*/*.yml"))
        for model in yaml.load(path.read_text(), loader).get("models", [])
    }


def _columns(model: dict[str, Any]) -> Columns:
    described, key = model["columns"], model["config"]["unique_key"]
    return Columns(
        {column["name"]: column["data_type"] for column in described},
        # dbt appends a column that the table lacks, but only with nulls.
        frozenset(column["name"] for column in described if "constraints" in column),
        frozenset(column["name"] for column in described),
        (key,) if isinstance(key, str) else tuple(key),
    )


def _problems(
    conn: psycopg.Connection, schema: str, table: str, ours: Columns, writes: bool
) -> list[str]:
    values = {"schema": schema, "table": table}
    there = conn.execute(COLUMNS, values).fetchall()
    if not there:
        return []
    missing = sorted(ours.needed - {name for name, *_ in there})
    problems = [
        *(
            f"column {name} is {kind}, not {ours.types[name]}"
            for name, kind, _ in there
            if name in ours.types and kind != ours.types[name]
        ),
        *(
            f"column {name} is NOT NULL without a default, and this project does not write it"
            for name, _, must_be_written in there
            if writes and must_be_written and name not in ours.filled
        ),
        *(f"there is no column {name}" for name in missing),
    ]
    if (
        writes
        and ours.key
        and not missing
        and (sorted(ours.key),) not in conn.execute(UNIQUE, values)
    ):
        problems.append(f"no unique index on ({', '.join(ours.key)})")
    return problems
