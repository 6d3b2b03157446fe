"""`init`: create the schema and the run log, grant two roles their rights, and build indexes.

The writer runs the jobs, a reader serves the API. The rights are granted by init.sql.
"""

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic, InsufficientPrivilege, LockNotAvailable

from dbt_project import our_tables, run_log
from dbt_project.database import PINNED, only_row
from dbt_project.messages import DatabaseError, echo, one_line
from dbt_project.our_tables import OURS
from dbt_project.source import TABLES, existing_source_tables

LOCK_TIMEOUT = "10s"
NOT_GRANTED = "01007"
STOPPED = (
    "Stopped. The rights are as before or complete; the next `init --indexes` builds again an"
    " index that was not finished."
)
RIGHTS = Path(__file__).with_name("init.sql")
INDEXES = {
    # Finds a user's first event.
    "event_logs_user_occurred_at": "btree (anonymous_user_id, occurred_at)",
    # Finds the newest received events, to count invalid ones in a source that keeps over 180 days.
    "event_logs_received_at_brin": "brin (received_at)",
}
# An index serves as well under any name and with more columns at its end, but not when it is
# partial or compares in another way than the column does. Its definition shows all that.
INDEX_STATE = """
    with serving as (
        select relname, indisvalid
        from pg_index join pg_class on pg_class.oid = indexrelid
        where
            indrelid = to_regclass(quote_ident(%(schema)s) || '.event_logs')
            and indpred is null
            and pg_get_indexdef(indexrelid) ~ %(serves)s
    )
    select
        array(select relname from serving where indisvalid),
        array(select relname from serving where not indisvalid),
        case
            when relkind <> 'r' then 'is ' || (
                jsonb '{"p": "partitioned", "v": "a view", "m": "a view", "f": "a foreign table"}'
                ->> cast(relkind as text)
            )
            when not pg_has_role(relowner, 'usage') then 'belongs to ' || pg_get_userbyid(relowner)
        end,
        (
            select min(pid)
            from pg_locks join pg_database on pg_database.oid = database
            where
                locktype = 'relation' and mode = 'ShareUpdateExclusiveLock'
                and datname = current_database() and relation = pg_class.oid
        )
    from pg_class
    where oid = to_regclass(quote_ident(%(schema)s) || '.event_logs')
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
    # Whoever runs it needs the search path that `init` itself works with.
    begin = f"begin;\n{PINNED};"
    return "\n\n".join([begin, *_rights(conn, wanted), "commit;", *indexes])


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
            for statement in _rights(conn, wanted):
                conn.execute(statement.encode())
            if refused:
                raise InsufficientPrivilege  # ends the transaction
    except InsufficientPrivilege as error:
        reason = "; ".join(refused) or error.diag.message_primary
        member = f", as a member of {wanted.writer}," if wanted.writer else ""
        raise DatabaseError(
            f"{reason}. Nothing was changed. Connect as a superuser, or as the owner of"
            f" the database and of the tables{member} and try again; --dry-run prints the SQL for"
            " someone who may run it."
        ) from None
    except LockNotAvailable:
        raise DatabaseError(
            "A run, or a long query, holds one of the tables. Nothing was changed; try again when"
            " it is over."
        ) from None
    return [one_line(text) for text in (*_summary(conn, wanted), *_build_indexes(conn, wanted))]


def check(conn: psycopg.Connection, wanted: Wanted) -> None:
    """Raise DatabaseError for what is wrong with `wanted`, before anything is changed."""
    our_tables.check_schema(conn, wanted.analytics)
    for role in (wanted.writer, *wanted.readers):
        query = "select count(*) from pg_roles where rolname = %s"
        if role is not None and not only_row(conn, query, [role])[0]:
            name = sql.Identifier(role).as_string(conn)
            raise DatabaseError(
                f"There is no role {role} on this server. Create it first, as in: create role"
                f" {name} login password '…'"
            )
    if wanted.readers and wanted.source == wanted.analytics:
        raise DatabaseError(
            f"The rollups and the source are in the same schema, {wanted.source}, where a reader"
            " would read both. Let ANALYTICS_SCHEMA name another one."
        )
    creator = _creator(conn, wanted)
    for reader in wanted.readers:
        query = "select pg_has_role(oid, %s, 'member') and not rolsuper from pg_roles"
        is_member = only_row(conn, f"{query} where rolname = %s", [creator, reader])[0]
        if reader == creator or is_member:
            raise DatabaseError(
                f"Role {reader} is no reader: it is {creator}, which runs the jobs, or a member of"
                " it. Name a role of its own."
            )
    missing = "event_logs" not in existing_source_tables(conn, wanted.source)
    if missing and (wanted.writer or wanted.indexes):
        raise DatabaseError(
            f"The source table event_logs is not in schema {wanted.source}. Point DATABASE_URL or"
            " SOURCE_SCHEMA at the app's tables, or let `init --map` print views of them."
        )
    _indexes(conn, wanted)


def _rights(conn: psycopg.Connection, wanted: Wanted) -> list[str]:
    """Return the statements of the transaction: schema and run log, settings, init.sql."""
    missing = run_log.missing(conn, wanted.analytics)
    settings = {
        "source": wanted.source,
        "analytics": wanted.analytics,
        "writer": wanted.writer or "",
        "readers": json.dumps(wanted.readers, ensure_ascii=False),
        "tables": json.dumps(OURS),
    }
    lines = [
        f"set local rollup.{name} = {sql.Literal(value).as_string(conn)};"
        for name, value in settings.items()
    ]
    created = (f"{statement.as_string(conn)};" for statement in missing)
    return [*created, "\n".join(lines), RIGHTS.read_text()]


def _creator(conn: psycopg.Connection, wanted: Wanted) -> str:
    """Return the role that runs the jobs: the writer, or whoever owns the run log so far."""
    query = """
        select coalesce(%s, pg_get_userbyid(min(relowner)), current_user)
        from pg_class
        where relnamespace = to_regnamespace(quote_ident(%s)) and relname = 'rollup_runs'
    """
    return only_row(conn, query, [wanted.writer, wanted.analytics])[0]


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
            query = """
                select bool_or(
                    has_schema_privilege(%s, relnamespace, 'usage')
                    and has_table_privilege(%s, oid, %s)
                )
                from pg_class
                where relnamespace = to_regnamespace(quote_ident(%s)) and relname = any(%s)
            """
            if only_row(conn, query, [reader, reader, rights, schema, list(tables)])[0]:
                lines.append(f"Role {reader} may also {ability}, by rights given elsewhere.")
    return lines


def _indexes(conn: psycopg.Connection, wanted: Wanted) -> dict[str, list[str]]:
    """Return what each index is, with the statements that build it: none where it is there.

    Raises DatabaseError when one is missing and cannot be built on this table, or not now.
    """
    found: dict[str, list[str]] = {}
    for name, columns in INDEXES.items() if wanted.indexes else ():
        serves = f" USING {columns[:-1]}".replace("(", r"\(") + "( DESC)?( NULLS (FIRST|LAST))?[,)]"
        values = {"schema": wanted.source, "serves": serves}
        valid, invalid, trouble, busy = only_row(conn, INDEX_STATE, values)
        what = f"event_logs has an index using {columns}, named {(valid or [name])[0]}."
        found[what] = []
        if valid:
            continue
        if trouble:
            raise DatabaseError(
                f"event_logs in schema {wanted.source} {trouble}, so it cannot be indexed as it is;"
                " docs/setup.md tells what to do."
            )
        if invalid and busy:
            raise DatabaseError(
                f"An index of event_logs is being built, or the table vacuumed, by process"
                f" {busy}. Try again when it is done."
            )
        # A build that was interrupted left an index that costs every insert and serves no query.
        drop = sql.SQL("drop index concurrently if exists {};")
        create = sql.SQL("create index concurrently if not exists {} on {} using {};").format(
            sql.Identifier(name), sql.Identifier(wanted.source, "event_logs"), sql.SQL(columns)
        )
        leftovers = [drop.format(sql.Identifier(wanted.source, leftover)) for leftover in invalid]
        found[what] = [statement.as_string(conn) for statement in (*leftovers, create)]
    return found


def _build_indexes(conn: psycopg.Connection, wanted: Wanted) -> list[str]:
    """Build what is missing, one index after the other, while the app goes on writing."""
    for statement in chain(*_indexes(conn, wanted).values()):
        echo(f"{statement} This may take long, and the app can go on writing.", err=True)
        try:
            # On a cursor, since it refuses to run inside of a transaction.
            conn.cursor().execute(statement.encode())
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
