"""Checks of the source before anything is written: its tables, columns, types and rights."""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from dbt_project import columns, macros, mapping, our_tables
from dbt_project.database import only_row
from dbt_project.messages import DatabaseError, one_line
from dbt_project.source import TABLES
from dbt_project.window import JOBS


def check(
    conn: psycopg.Connection, source: str, analytics: str, jobs: tuple[str, ...] = JOBS
) -> None:
    """Raise DatabaseError unless the jobs can read the source and write the analytics schema."""
    with conn.transaction():  # one for all, which saves round trips
        check_source(conn, source, jobs)
        our_tables.check(conn, analytics)


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
    jobs = tuple(job for job in jobs if job not in _idle(found))
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


def idle(conn: psycopg.Connection, source: str, jobs: tuple[str, ...]) -> set[str]:
    """Return which of the jobs write nothing, as the app lacks the tables that they need."""
    return _idle(one.name for one in columns.relations(conn, source, TABLES)).intersection(jobs)


def _idle(tables: Iterable[str]) -> set[str]:
    return set() if set(TABLES) <= {*tables} else {"experiment"}


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
