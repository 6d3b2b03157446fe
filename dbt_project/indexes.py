"""Indexes on the app's event_logs that make runs faster, built while the app goes on writing."""

from collections.abc import Callable

import psycopg
from psycopg import sql

from dbt_project.database import DatabaseError, only_row
from dbt_project.grants import Item

TABLE = "event_logs"
# name: (method, columns). The first finds a user's first event. The second finds what was
# received lately, to count invalid events in a source that keeps more than 180 days.
INDEXES = {
    "event_logs_user_occurred_at": ("btree", ["anonymous_user_id", "occurred_at"]),
    "event_logs_received_at_brin": ("brin", ["received_at"]),
}

# An index serves as well under any name and with more columns at its end, but not when it is
# partial or compares in another way than the column does.
SAME = """
    select relation.relname, index.indisvalid
    from pg_index as index
    join pg_class as relation on relation.oid = index.indexrelid
    join pg_am as method on method.oid = relation.relam
    where
        index.indrelid = %(table)s
        and method.amname = %(method)s
        and index.indpred is null
        and index.indexprs is null
        and cast(%(columns)s as text[]) = array(
            select cast(attribute.attname as text)
            from unnest(
                cast(index.indkey as int2[]),
                cast(index.indclass as oid[]),
                cast(index.indcollation as oid[])
            ) with ordinality as part (attnum, opclass, collation_id, place)
            join pg_attribute as attribute
                on attribute.attrelid = index.indrelid and attribute.attnum = part.attnum
            join pg_opclass as opclass on opclass.oid = part.opclass
            where
                part.place <= cardinality(cast(%(columns)s as text[]))
                and opclass.opcdefault
                and part.collation_id = attribute.attcollation
            order by part.place
        )
    order by index.indisvalid desc, relation.relname
"""


def items(conn: psycopg.Connection, schema: str) -> list[Item]:
    """Return each index with what is to be executed for it, outside of a transaction.

    Raises DatabaseError when one is missing and cannot be built on this table, or not now.
    """
    oid, kind, is_mine, owner = only_row(
        conn,
        "select oid, relkind, pg_has_role(relowner, 'usage'), pg_get_userbyid(relowner)"
        " from pg_class where relnamespace = to_regnamespace(quote_ident(%s)) and relname = %s",
        [schema, TABLE],
    )
    found = [_item(conn, schema, oid, name) for name in INDEXES]
    if any(item.statements for item in found):
        _refuse_what_cannot_be(schema, kind, None if is_mine else owner)
        _refuse_while_at_work(conn, oid, found)
    return found


def build(conn: psycopg.Connection, schema: str, tell: Callable[[str], object]) -> list[Item]:
    """Build what is missing, one index after the other; return all with what was executed.

    `conn` must be in autocommit. `tell` hears of each index before its build. Raises
    DatabaseError when one was not finished, which leaves those before it in place.
    """
    found = items(conn, schema)
    for item in found:
        for statement in item.statements:
            tell(f"{statement.as_string(conn)}; this may take long, and the app can go on writing")
            try:
                conn.cursor().execute(statement)  # it refuses to run inside of a transaction
            except psycopg.Error as error:
                raise DatabaseError(
                    f"The {item.name} was not finished: {str(error).strip()}. What is left of it"
                    " serves nothing; run the same command again to have it made anew."
                ) from None
    if left := [item.name for item in items(conn, schema) if item.statements]:
        raise DatabaseError(
            f"The {' and the '.join(left)} is not there, because its name is taken. Rename the"
            " index that has it, or drop it."
        )
    return found


def _item(conn: psycopg.Connection, schema: str, table: int, name: str) -> Item:
    method, columns = INDEXES[name]
    same = conn.execute(SAME, {"table": table, "method": method, "columns": columns}).fetchall()
    what = f"index on {TABLE} using {method} ({', '.join(columns)})"
    if same and same[0][1]:
        return Item(f"{what}, named {same[0][0]}")
    # What an interrupted build left behind costs every insert and serves no query.
    drop = sql.SQL("drop index concurrently if exists {}")
    create = sql.SQL("create index concurrently if not exists {} on {} using {} ({})").format(
        sql.Identifier(name),
        sql.Identifier(schema, TABLE),
        sql.SQL(method),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    drops = [drop.format(sql.Identifier(schema, leftover)) for leftover, _ in same]
    return Item(what, (*drops, create))


def _refuse_what_cannot_be(schema: str, kind: str, owner: str | None) -> None:
    if kind == "p":
        raise DatabaseError(
            f"{TABLE} in schema {schema} is partitioned, and PostgreSQL cannot build an index"
            " concurrently on all partitions at once. docs/setup.md tells how to build it on one"
            " after the other."
        )
    if kind not in "rm":
        what = "a view" if kind == "v" else "a foreign table"
        raise DatabaseError(
            f"{TABLE} in schema {schema} is {what}, which has no indexes of its own. Build them on"
            " the table behind it."
        )
    if owner:
        raise DatabaseError(
            f"Only the owner of {TABLE}, {owner}, may build indexes on it. Connect as that role."
        )


def _refuse_while_at_work(conn: psycopg.Connection, table: int, found: list[Item]) -> None:
    """Refuse to drop an invalid index that somebody may be building just now."""
    if all(len(item.statements) < 2 for item in found):
        return
    query = """
        select pid
        from pg_locks
        where
            locktype = 'relation'
            and database = (select oid from pg_database where datname = current_database())
            and relation = %s
            and mode = 'ShareUpdateExclusiveLock'
    """
    if row := conn.execute(query, [table]).fetchone():
        raise DatabaseError(
            f"An index of {TABLE} is being built, or the table vacuumed, by process {row[0]}. Try"
            " again when it is done."
        )
