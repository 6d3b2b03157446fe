"""The rights of two roles: the writer runs the jobs, a reader serves the API.

Everything is planned from the catalogue, so what is there already has no statement left, and
planning again after the work tells whether all of it took effect. (`grant` only warns when the
role that gives has nothing to give.)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from dbt_project import run_log
from dbt_project.database import Statement, only_row
from dbt_project.preflight import OURS
from dbt_project.source import TABLES

# Roles that are to read whatever somebody creates in the schema: what `init --reader` leaves
# behind, and what macros/readers.sql goes by.
READERS = """
    select reader.rolname, creator.rolname
    from pg_default_acl as defaults
    cross join lateral aclexplode(defaults.defaclacl) as granted
    join pg_roles as reader on reader.oid = granted.grantee
    join pg_roles as creator on creator.oid = defaults.defaclrole
    where
        defaults.defaclnamespace = to_regnamespace(quote_ident(%s))
        and defaults.defaclobjtype = 'r'
        and granted.privilege_type = 'SELECT'
    order by 1
"""


@dataclass(frozen=True)
class Item:
    """Something to see to: `statements` bring it about, and there are none once it is there."""

    name: str
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """Two schemas, and the roles that are to have rights in them."""

    source: str
    analytics: str
    writer: str | None = None
    readers: tuple[str, ...] = ()


def items(conn: psycopg.Connection, wanted: Wanted) -> list[Item]:
    """Return the schema with its run log, and each right of each role, in the order of work."""
    name = f"schema {wanted.analytics} with the run log"
    found = [Item(name, tuple(run_log.missing(conn, wanted.analytics)))]
    known = {reader for reader, _ in conn.execute(READERS, [wanted.analytics]).fetchall()}
    readers = list(dict.fromkeys(wanted.readers))
    if wanted.writer:
        found += _writer(conn, wanted, wanted.writer)
        # Those that an earlier `init` named must read what a new writer creates.
        readers += sorted(known - {*readers, wanted.writer})
    for reader in readers:
        found += _reader(conn, wanted, reader)
    return found


def _writer(conn: psycopg.Connection, wanted: Wanted, role: str) -> Iterator[Item]:
    grantee = sql.Identifier(role)
    # dbt computes the new rows into a temporary table.
    yield Item(f"{role} connects", _on_database(conn, role, "connect", "temporary"))
    reads = _on_schema(conn, role, wanted.source, "usage")
    unread = [
        sql.SQL("grant select on {} to {}").format(sql.Identifier(wanted.source, table), grantee)
        for table in TABLES
        if not _yes(
            conn,
            "has_table_privilege(%s, (quote_ident(%s) || '.' || %s)::regclass, 'select')",
            role,
            wanted.source,
            table,
        )
    ]
    yield Item(f"{role} reads the source in {wanted.source}", (*reads, *unread))
    yield Item(
        f"{role} creates tables in {wanted.analytics}",
        _on_schema(conn, role, wanted.analytics, "usage", "create"),
    )
    # Only a table's owner may add a column, an index or a right to it, as dbt does.
    others = [
        sql.SQL("alter table {} owner to {}").format(
            sql.Identifier(wanted.analytics, table), grantee
        )
        for table, owner in _owners(conn, wanted.analytics).items()
        if not _yes(conn, "pg_has_role(%s, %s, 'usage')", role, owner)
    ]
    yield Item(f"{role} owns the tables in {wanted.analytics}", tuple(others))


def _reader(conn: psycopg.Connection, wanted: Wanted, role: str) -> Iterator[Item]:
    grantee, schema = sql.Identifier(role), sql.Identifier(wanted.analytics)
    yield Item(f"{role} connects", _on_database(conn, role, "connect"))
    usage = _on_schema(conn, role, wanted.analytics, "usage")
    every = sql.SQL("grant select on all tables in schema {} to {}").format(schema, grantee)
    all_read = _yes(
        conn,
        "coalesce(bool_and(has_table_privilege(%s, oid, 'select')), false) from pg_class where"
        " relnamespace = to_regnamespace(quote_ident(%s)) and relkind in ('r', 'p', 'v', 'm', 'f')",
        role,
        wanted.analytics,
    )
    yield Item(f"{role} reads {wanted.analytics}", (*usage, *(() if all_read else (every,))))
    maker = creator(conn, wanted)
    future = sql.SQL(
        "alter default privileges for role {} in schema {} grant select on tables to {}"
    ).format(sql.Identifier(maker), schema, grantee)
    there = (role, maker) in conn.execute(READERS, [wanted.analytics]).fetchall()
    yield Item(f"{role} reads what {maker} will create there", () if there else (future,))


def cautions(conn: psycopg.Connection, wanted: Wanted) -> list[str]:
    """Tell what readers may do beyond reading `wanted.analytics`, whoever let them."""
    told = []
    for role in wanted.readers:
        queries = {
            "read the source": ("usage", "select", wanted.source, TABLES),
            f"write {wanted.analytics}": (
                "usage",
                "insert, update, delete, truncate",
                wanted.analytics,
                OURS,
            ),
        }
        for ability, (on_schema, on_table, schema, tables) in queries.items():
            if _yes(
                conn,
                "bool_or(has_schema_privilege(%s, relnamespace, %s)"
                " and has_table_privilege(%s, oid, %s)) from pg_class"
                " where relnamespace = to_regnamespace(quote_ident(%s)) and relname = any(%s)",
                *(role, on_schema, role, on_table, schema, list(tables)),
            ):
                told.append(f"Role {role} may also {ability}, by rights given elsewhere.")
    return told


def creator(conn: psycopg.Connection, wanted: Wanted) -> str:
    """Return the role that runs the jobs: the writer, or whoever owns the run log so far."""
    return wanted.writer or _owners(conn, wanted.analytics)["rollup_runs"]


def _owners(conn: psycopg.Connection, schema: str) -> dict[str, str]:
    """Return who owns each of our tables, or will: the run log's owner is who creates it now."""
    (me,) = only_row(conn, "select current_user")
    query = """
        select relname, pg_get_userbyid(relowner)
        from pg_class
        where relnamespace = to_regnamespace(quote_ident(%s)) and relname = any(%s)
        order by 1
    """
    return {"rollup_runs": me} | dict(conn.execute(query, [schema, OURS]).fetchall())


def _on_database(conn: psycopg.Connection, role: str, *rights: str) -> tuple[Statement, ...]:
    (name,) = only_row(conn, "select current_database()")
    place = sql.SQL("database {}").format(sql.Identifier(name))
    held = "has_database_privilege(%s, current_database(), %s)"
    return _grants(place, role, [r for r in rights if not _yes(conn, held, role, r)])


def _on_schema(
    conn: psycopg.Connection, role: str, schema: str, *rights: str
) -> tuple[Statement, ...]:
    place = sql.SQL("schema {}").format(sql.Identifier(schema))
    held = "has_schema_privilege(%s, to_regnamespace(quote_ident(%s)), %s)"
    return _grants(place, role, [r for r in rights if not _yes(conn, held, role, schema, r)])


def _grants(place: Statement, role: str, rights: Iterable[str]) -> tuple[Statement, ...]:
    named = sql.SQL(", ").join(map(sql.SQL, rights))
    grant = sql.SQL("grant {} on {} to {}").format(named, place, sql.Identifier(role))
    return (grant,) if rights else ()


def _yes(conn: psycopg.Connection, condition: str, *values: object) -> bool:
    row = conn.execute(f"select {condition}", values).fetchone()
    return bool(row and row[0])
