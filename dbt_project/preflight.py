"""Checks before anything is written: names, rights, and whose tables these are."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from dbt_project import ROOT, columns, macros, mapping, run_log
from dbt_project.database import only_row
from dbt_project.messages import DatabaseError, one_line
from dbt_project.source import TABLES
from dbt_project.window import JOBS, ROLLUPS

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


def check(
    conn: psycopg.Connection, source: str, analytics: str, jobs: tuple[str, ...] = JOBS
) -> None:
    """Raise DatabaseError unless the jobs can read the source and write the analytics schema.

    Refuses to write tables that another system made, or that would run code of another role.
    """
    with conn.transaction():  # one for all, which saves round trips
        check_source(conn, source, jobs)
        check_target(conn, analytics)


def check_target(conn: psycopg.Connection, analytics: str) -> None:
    """Raise DatabaseError unless the jobs can write the analytics schema."""
    with conn.transaction():
        _check_right_to_create(conn, analytics)
        check_schema(conn, analytics)
        check_code(conn, analytics)


def check_source(conn: psycopg.Connection, source: str, jobs: tuple[str, ...] = JOBS) -> None:
    """Raise DatabaseError unless the jobs can read the source.

    `conn` must be in a transaction.
    """
    dbname, role = conn.info.dbname, conn.info.user
    if only_row(conn, "select current_database()")[0] != dbname:
        raise DatabaseError(
            f"The pooler calls the database {dbname}, the server calls it otherwise, and dbt needs"
            " one name. Give the pooler's entry the database's own name."
        )
    found = {one.name: one for one in columns.relations(conn, source, TABLES)}
    if "event_logs" not in found:
        raise DatabaseError(
            f"The source table event_logs is not in schema {source} of database {dbname}. Point"
            " DATABASE_URL or SOURCE_SCHEMA at the app's tables; where they are others,"
            " `python cli.py init --map` prints views of them. On an empty database, try"
            " `python cli.py demo`."
        )
    if len(found) < len(TABLES):  # without a table of experiments, their job writes nothing
        jobs = tuple(job for job in jobs if job != "experiment")
    tables = sorted(TABLES) if "experiment" in jobs else ["event_logs"]
    unread = {table: columns.unread(found[table], jobs) for table in tables}
    unreadable = [
        one_line(f"column {', '.join(names)} of {table}" if names else table)
        for table, names in unread.items()
        if names != []
    ]
    if unreadable:
        raise DatabaseError(
            f"Role {role} may not read {', '.join(unreadable)} in schema {source}. Grant it usage"
            f" on the schema and select on the tables, as `init --writer {role}` does."
        )
    regclasses = [
        f"to_regclass({sql.Literal(sql.Identifier(source, table).as_string()).as_string()})"
        for table in tables
    ]
    policies = macros("check_source")
    for hidden in conn.execute(policies.hidden_rows(", ".join(regclasses))):
        raise DatabaseError(one_line(policies.hidden_rows_error(*hidden)))
    _check_columns(conn, found, tables, jobs)


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


def _check_columns(
    conn: psycopg.Connection,
    found: dict[str, columns.Relation],
    tables: list[str],
    jobs: tuple[str, ...],
) -> None:
    """Raise DatabaseError for columns that are missing or of a wrong type, with what mends them."""
    problems: list[str] = []
    wrong: dict[str, dict[str, columns.Column]] = {}
    for table in tables:
        wanted = columns.needed(table, jobs)
        mistyped = columns.mistyped(conn, found[table], wanted)
        missing = [name for name in wanted if name not in found[table].columns]
        problems += [f"{table} has no column {name}." for name in missing]
        problems += [
            f"{table}.{name} is {column.type}, not {columns.CALLED[wanted[name]]}."
            for name, column in mistyped.items()
        ]
        if missing or mistyped:
            wrong[table] = mistyped
    if not problems:
        return
    schema = mapping.free_schema(conn)
    views = (
        mapping.view(one, table, schema, wrong[table])
        if table in wrong
        else mapping.copied(one, schema)
        for table, one in sorted(found.items())
    )
    dimension = " Other columns can be the dimensions, in dbt_project.yml."
    raise DatabaseError(
        f"The tables in schema {found['event_logs'].schema} are not what {_listed(jobs)} reads.\n  "
        + "\n  ".join(map(one_line, problems))
        + "\nNothing was run. Views mend that without a change to the tables: correct the guesses"
        f" below, run it, and set SOURCE_SCHEMA={schema}."
        + dimension * any(f" {name}" in one for name in columns.dimensions() for one in problems)
        + f" docs/your-tables.md says what each column means.\n\n{mapping.script(views, schema)}"
    )


def _listed(jobs: tuple[str, ...]) -> str:
    return f"the job {jobs[0]}" if len(jobs) == 1 else "a run"


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
