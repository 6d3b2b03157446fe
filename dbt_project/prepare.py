"""What `init` does: the schema and the run log, the rights of roles, and indexes if asked."""

from collections.abc import Callable, Iterable

import psycopg
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, LockNotAvailable

from dbt_project import grants, indexes, locks, shape
from dbt_project.database import DatabaseError, only_row
from dbt_project.grants import Item, Wanted
from dbt_project.source import TABLES, existing_source_tables

LOCK_TIMEOUT = "10s"
STOPPED = (
    "Stopped. The rights are as before or complete; an index that was not finished is made anew by"
    " the next `init --indexes`."
)


def script(conn: psycopg.Connection, wanted: Wanted, with_indexes: bool) -> str:
    """Return what `init` would execute, as SQL that psql can run. Raises as `init` does."""
    check(conn, wanted, with_indexes)
    inside = _sql(conn, grants.items(conn, wanted))
    outside = _sql(conn, indexes.items(conn, wanted.source)) if with_indexes else []
    return "\n".join(["begin;", *inside, "commit;", *outside])


def init(
    conn: psycopg.Connection,
    wanted: Wanted,
    with_indexes: bool,
    tell: Callable[[str], object],
) -> list[str]:
    """Do what is not done yet; return a line for everything wanted, whether new or not.

    `conn` must be in autocommit. All but the indexes comes about in one transaction. Raises
    DatabaseError, with nothing changed, when something is wrong with the wishes or the rights.
    """
    check(conn, wanted, with_indexes)
    done = _apply(conn, wanted)
    if with_indexes:
        done += indexes.build(conn, wanted.source, tell)
    lines = [f"{'done' if item.statements else 'already there':<13}  {item.name}" for item in done]
    return lines + grants.cautions(conn, wanted)


def check(conn: psycopg.Connection, wanted: Wanted, with_indexes: bool) -> None:
    """Raise DatabaseError for what can be known to be wrong before anything is touched."""
    shape.check(conn, wanted.analytics)
    for role in (wanted.writer, *wanted.readers):
        if role is not None:
            _check_exists(conn, role)
    for reader in wanted.readers:
        _check_reader(conn, wanted, reader)
    if wanted.writer or with_indexes:
        missing = sorted(set(TABLES) - set(existing_source_tables(conn, wanted.source)))
        if missing:
            raise DatabaseError(
                f"The source tables {', '.join(missing)} are not in schema {wanted.source}. Point"
                " DATABASE_URL or SOURCE_SCHEMA at the app's tables."
            )
    if with_indexes:
        indexes.items(conn, wanted.source)


def _check_exists(conn: psycopg.Connection, role: str) -> None:
    if not conn.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
        name = sql.Identifier(role).as_string(conn)
        raise DatabaseError(
            f"There is no role {role} on this server. Create it first, as in: create role"
            f" {name} login password '…'"
        )


def _check_reader(conn: psycopg.Connection, wanted: Wanted, reader: str) -> None:
    if wanted.source == wanted.analytics:
        raise DatabaseError(
            f"The rollups and the source are in the same schema, {wanted.source}, where a reader"
            " would read both. Let ANALYTICS_SCHEMA name another one."
        )
    query = """
        select
            rolname = %(creator)s
            or (pg_has_role(rolname, %(creator)s, 'member') and not rolsuper)
        from pg_roles
        where rolname = %(reader)s
    """
    creator = grants.creator(conn, wanted)
    if only_row(conn, query, {"creator": creator, "reader": reader})[0]:
        raise DatabaseError(
            f"Role {reader} is no reader: it is {creator}, which runs the jobs, or a member of it."
            " Name a role of its own."
        )


def _apply(conn: psycopg.Connection, wanted: Wanted) -> list[Item]:
    try:
        with conn.transaction():
            # A run holds its tables for long, and whoever reads them would wait behind us.
            conn.execute("select set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            locks.lock_creation(conn, wanted.analytics)
            items = grants.items(conn, wanted)
            for item in items:
                for statement in item.statements:
                    conn.execute(statement)
            left = [item.name for item in grants.items(conn, wanted) if item.statements]
            if left:
                raise DatabaseError(
                    f"This role has no right to bring about: {'; '.join(left)}. {_advice(wanted)}"
                )
    except InsufficientPrivilege as error:
        raise DatabaseError(f"{str(error).strip()}. {_advice(wanted)}") from None
    except LockNotAvailable:
        raise DatabaseError(
            "A run, or a long query, holds one of the tables. Nothing was changed; try again when"
            " it is over."
        ) from None
    return items


def _advice(wanted: Wanted) -> str:
    member = f", as a member of {wanted.writer}," if wanted.writer else ""
    return (
        "Nothing was changed. Connect as a superuser, or as the owner of the database and of the"
        f" tables{member} and try again; --dry-run prints the SQL for whoever may run it."
    )


def _sql(conn: psycopg.Connection, items: Iterable[Item]) -> list[str]:
    lines = []
    for item in items:
        # A role's name may hold a line break, which would end the comment.
        name = " ".join(item.name.split())
        lines.append(f"-- {name}{'' if item.statements else ': already there'}")
        lines += [f"{statement.as_string(conn)};" for statement in item.statements]
    return lines
