"""`init`: create the schema and the run log, grant two roles their rights, and build indexes.

The writer runs the jobs, a reader serves the API. The statements are in init.sql.
"""

import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic, InsufficientPrivilege, LockNotAvailable

from dbt_project import preflight, run_log
from dbt_project.database import DatabaseError, only_row
from dbt_project.messages import echo, one_line
from dbt_project.preflight import OURS
from dbt_project.source import TABLES, existing_source_tables

LOCK_TIMEOUT = "10s"
NOT_GRANTED = "01007"
STOPPED = (
    "Stopped. The rights are as before or complete; the next `init --indexes` builds again an"
    " index that was not finished."
)
PARTS = dict(
    re.findall(
        r"^-- part: (\w+)\n(.*?)\s*(?=^-- part|\Z)",
        Path(__file__).with_name("init.sql").read_text(),
        re.M | re.S,
    )
)
INDEXES = {
    "event_logs_user_occurred_at": ("btree", "anonymous_user_id, occurred_at"),
    "event_logs_received_at_brin": ("brin", "received_at"),
}
# The table of the indexes, why they cannot be built on it, and which process may be building one.
TABLE = """
    select
        oid,
        case
            when relkind = 'p' then 'is partitioned'
            when relkind = 'v' then 'is a view'
            when relkind = 'f' then 'is a foreign table'
            when not pg_has_role(relowner, 'usage') then 'belongs to ' || pg_get_userbyid(relowner)
        end,
        (
            select min(pid)
            from pg_locks
            where
                locktype = 'relation'
                and database = (select oid from pg_database where datname = current_database())
                and relation = pg_class.oid
                and mode = 'ShareUpdateExclusiveLock'
        )
    from pg_class
    where relnamespace = to_regnamespace(quote_ident(%s)) and relname = 'event_logs'
"""
# Roles that read whatever a role creates in the schema, as an earlier `init --reader` arranged.
KNOWN_READERS = """
    select distinct reader.rolname
    from pg_default_acl
    cross join lateral aclexplode(defaclacl) as granted
    join pg_roles as reader on reader.oid = granted.grantee
    where
        defaclnamespace = to_regnamespace(quote_ident(%s))
        and defaclobjtype = 'r'
        and granted.privilege_type = 'SELECT'
    order by 1
"""


@dataclass(frozen=True)
class Wanted:
    """Two schemas, the roles that are to have rights in them, and whether to build indexes."""

    source: str
    analytics: str
    writer: str | None = None
    readers: tuple[str, ...] = ()
    indexes: bool = False


def script(conn: psycopg.Connection, wanted: Wanted) -> str:
    """Return what `init` would execute, as SQL for psql. Raises as `init` does."""
    check(conn, wanted)
    indexes = chain(*_indexes(conn, wanted).values())
    return "\n\n".join(["begin;", *_rights(conn, wanted), "commit;", *indexes])


def init(conn: psycopg.Connection, wanted: Wanted) -> list[str]:
    """Execute it; return what holds from now on, line by line.

    `conn` must be in autocommit. Raises DatabaseError with nothing changed, but for indexes that
    were finished before one failed. Reports on stderr before each index is built.
    """
    check(conn, wanted)
    refused: list[str] = []

    def on_notice(notice: Diagnostic) -> None:
        if notice.sqlstate == NOT_GRANTED:  # only a warning to PostgreSQL
            refused.append(notice.message_primary or "")

    conn.add_notice_handler(on_notice)
    try:
        with conn.transaction():
            # A run holds its tables for long, and readers would queue up behind this transaction.
            conn.execute("select set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            run_log.lock_creation(conn, wanted.analytics)
            conn.execute("set local client_min_messages = warning")
            for part in _rights(conn, wanted):
                conn.execute(part.encode())
            if refused:
                raise InsufficientPrivilege("; ".join(refused))
    except InsufficientPrivilege as error:
        member = f", as a member of {wanted.writer}," if wanted.writer else ""
        raise DatabaseError(
            f"{str(error).strip()}. Nothing was changed. Connect as a superuser, or as the owner of"
            f" the database and of the tables{member} and try again; --dry-run prints the SQL for"
            " whoever may run it."
        ) from None
    except LockNotAvailable:
        raise DatabaseError(
            "A run, or a long query, holds one of the tables. Nothing was changed; try again when"
            " it is over."
        ) from None
    return [one_line(text) for text in (*_summary(conn, wanted), *_build_indexes(conn, wanted))]


def check(conn: psycopg.Connection, wanted: Wanted) -> None:
    """Raise DatabaseError for what is wrong with `wanted`, before anything is changed."""
    preflight.check_schema(conn, wanted.analytics)
    for role in (wanted.writer, *wanted.readers):
        if role is not None and not _is(
            conn, "count(*) > 0 from pg_roles where rolname = %s", role
        ):
            name = sql.Identifier(role).as_string(conn)
            raise DatabaseError(
                f"There is no role {role} on this server. Create it first, as in: create role"
                f" {name} login password '…'"
            )
    for reader in wanted.readers:
        _check_reader(conn, wanted, reader)
    missing = sorted(set(TABLES) - set(existing_source_tables(conn, wanted.source)))
    if missing and (wanted.writer or wanted.indexes):
        raise DatabaseError(
            f"The source tables {', '.join(missing)} are not in schema {wanted.source}. Point"
            " DATABASE_URL or SOURCE_SCHEMA at the app's tables."
        )
    _indexes(conn, wanted)


def _check_reader(conn: psycopg.Connection, wanted: Wanted, reader: str) -> None:
    if wanted.source == wanted.analytics:
        raise DatabaseError(
            f"The rollups and the source are in the same schema, {wanted.source}, where a reader"
            " would read both. Let ANALYTICS_SCHEMA name another one."
        )
    creator = _creator(conn, wanted)
    is_member = (
        "pg_has_role(rolname, %s, 'member') and not rolsuper from pg_roles where rolname = %s"
    )
    if reader == creator or _is(conn, is_member, creator, reader):
        raise DatabaseError(
            f"Role {reader} is no reader: it is {creator}, which runs the jobs, or a member of it."
            " Name a role of its own."
        )


def _rights(conn: psycopg.Connection, wanted: Wanted) -> list[str]:
    """Return the statements of the transaction."""
    missing = run_log.missing(conn, wanted.analytics)
    found = [f"{statement.as_string(conn)};" for statement in missing]
    readers = list(wanted.readers)
    if writer := wanted.writer:
        readers += [reader for (reader,) in conn.execute(KNOWN_READERS, [wanted.analytics])]
        found += _connect(conn, wanted, writer, "connect", "temporary")
        found.append(_part(conn, "writer", wanted, role=writer))
        for table, owner in _owners(conn, wanted.analytics).items():
            if not _is(conn, "pg_has_role(%s, %s, 'usage')", writer, owner):
                found.append(_part(conn, "owner", wanted, role=writer, table=table))
    for reader in dict.fromkeys(readers):
        if reader != writer:
            creator = _creator(conn, wanted)
            found += _connect(conn, wanted, reader, "connect")
            found.append(_part(conn, "reader", wanted, role=reader, creator=creator))
    return found


def _connect(conn: psycopg.Connection, wanted: Wanted, role: str, *rights: str) -> list[str]:
    """Grant what the role lacks; most databases let everyone connect."""
    held = "has_database_privilege(%s, current_database(), %s)"
    lacking = [right for right in rights if not _is(conn, held, role, right)]
    part = _part(conn, "connect", wanted, role=role)
    return [part.replace("RIGHTS", ", ".join(lacking))] if lacking else []


def _part(conn: psycopg.Connection, name: str, wanted: Wanted, **names: str) -> str:
    """Return a part of init.sql, with its names filled in."""
    tables = [sql.Identifier(wanted.source, table) for table in TABLES]
    places: dict[str, sql.Composable] = {
        "database": sql.Identifier(only_row(conn, "select current_database()")[0]),
        "source": sql.Identifier(wanted.source),
        "analytics": sql.Identifier(wanted.analytics),
        "event_logs": tables[0],
        "tables": sql.SQL(", ").join(tables),
        **{key: sql.Identifier(value) for key, value in names.items()},
    }
    for key, schema in (("table", wanted.analytics), ("index", wanted.source)):
        if key in names:
            places[key] = sql.Identifier(schema, names[key])
    return sql.SQL(PARTS[name]).format(**places).as_string(conn)


def _owners(conn: psycopg.Connection, schema: str) -> dict[str, str]:
    """Return the owner of each of our tables; of a run log to be created, the current role."""
    (me,) = only_row(conn, "select current_user")
    query = """
        select relname, pg_get_userbyid(relowner)
        from pg_class
        where relnamespace = to_regnamespace(quote_ident(%s)) and relname = any(%s)
        order by 1
    """
    return {"rollup_runs": me} | dict(conn.execute(query, [schema, OURS]).fetchall())


def _creator(conn: psycopg.Connection, wanted: Wanted) -> str:
    """Return the role that runs the jobs: the writer, or whoever owns the run log so far."""
    return wanted.writer or _owners(conn, wanted.analytics)["rollup_runs"]


def _summary(conn: psycopg.Connection, wanted: Wanted) -> list[str]:
    lines = [f"Schema {wanted.analytics} holds the run log."]
    if wanted.writer:
        lines.append(
            f"{wanted.writer} reads the source in {wanted.source}, and creates and owns the tables"
            f" in {wanted.analytics}."
        )
    for reader in wanted.readers:
        creator = _creator(conn, wanted)
        lines.append(f"{reader} reads {wanted.analytics}, and what {creator} creates there.")
        beyond = {
            "read the source": ("select", wanted.source, TABLES),
            f"write {wanted.analytics}": (
                "insert, update, delete, truncate", wanted.analytics, OURS
            ),
        }  # fmt: skip
        for ability, (rights, schema, tables) in beyond.items():
            query = (
                "bool_or(has_schema_privilege(%s, relnamespace, 'usage')"
                " and has_table_privilege(%s, oid, %s)) from pg_class"
                " where relnamespace = to_regnamespace(quote_ident(%s)) and relname = any(%s)"
            )
            if _is(conn, query, reader, reader, rights, schema, list(tables)):
                lines.append(f"Role {reader} may also {ability}, by rights given elsewhere.")
    return lines


def _indexes(conn: psycopg.Connection, wanted: Wanted) -> dict[str, list[str]]:
    """Return what each index is, with the statements that build it: none where it is there.

    Raises DatabaseError when one is missing and cannot be built on this table, or not now.
    """
    # An index serves as well under any name and with more columns at its end, but not when it is
    # partial or compares in another way than the column does. Its definition shows all that.
    query = """
        select
            array_agg(relname) filter (where indisvalid),
            array_agg(relname) filter (where not indisvalid)
        from pg_index join pg_class on pg_class.oid = indexrelid
        where indrelid = %s and indpred is null and pg_get_indexdef(indexrelid) ~ %s
    """
    found: dict[str, list[str]] = {}
    for name, (method, columns) in INDEXES.items() if wanted.indexes else ():
        oid, trouble, busy = only_row(conn, TABLE, [wanted.source])
        serves = rf" USING {method} \({columns}( DESC)?( NULLS (FIRST|LAST))?[,)]"
        valid, invalid = only_row(conn, query, [oid, serves])
        what = f"event_logs has an index using {method} ({columns}), named {(valid or [name])[0]}."
        found[what] = []
        if not valid and trouble:
            raise DatabaseError(
                f"event_logs in schema {wanted.source} {trouble}, so it cannot be indexed as it is;"
                " docs/setup.md tells what to do."
            )
        if not valid:
            if invalid and busy:
                raise DatabaseError(
                    f"An index of event_logs is being built, or the table vacuumed, by process"
                    f" {busy}. Try again when it is done."
                )
            found[what] = [
                *(_part(conn, "leftover", wanted, index=leftover) for leftover in invalid or ()),
                _part(conn, name, wanted),
            ]
    return found


def _build_indexes(conn: psycopg.Connection, wanted: Wanted) -> list[str]:
    """Build what is missing, one index after the other, while the app goes on writing."""
    for part in chain(*_indexes(conn, wanted).values()):
        _, statement = part.split("\n", 1)
        text = " ".join(statement.split())
        echo(f"{text} This may take long, and the app can go on writing.", err=True)
        try:
            # On a cursor, since it refuses to run inside of a transaction.
            conn.cursor().execute(part.encode())
        except psycopg.Error as error:
            raise DatabaseError(
                f"An index was not finished: {str(error).strip()}. What is left of it serves no"
                " query; run the same command again to build it again."
            ) from None
    found = _indexes(conn, wanted)
    if any(found.values()):
        raise DatabaseError(
            "An index is not there, because its name is taken. Rename the index that has it, or"
            f" drop it: {', '.join(INDEXES)}."
        )
    return list(found)


def _is(conn: psycopg.Connection, condition: str, *values: object) -> bool:
    row = conn.execute(f"select {condition}", values).fetchone()
    return bool(row and row[0])
