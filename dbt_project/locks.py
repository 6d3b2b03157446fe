"""Advisory locks of transactions, which keep two runs of a job apart, and two first runs.

Such a lock survives a transaction-mode pooler, and ends with the process whatever ends it.
"""

from dataclasses import dataclass
from decimal import Decimal

import psycopg

from dbt_project.database import only_row

# As a number, for psycopg reads a time in no other DateStyle than ISO.
STARTED = "extract(epoch from backend_start)"


@dataclass(frozen=True)
class Session:
    """What tells a session of the server from any other: its process, and when that began."""

    pid: int
    started: Decimal


def stay_open(conn: psycopg.Connection) -> Session:
    """Let a transaction idle for as long as it takes, but end it when the client is gone."""
    conn.execute(
        """
        select set_config(name, value, true)
        from pg_settings
        join (values
            ('idle_in_transaction_session_timeout', '0'),
            ('transaction_timeout', '0'),
            ('tcp_keepalives_idle', '20'),
            ('tcp_keepalives_interval', '5'),
            ('tcp_keepalives_count', '3'),
            ('tcp_user_timeout', '35000')
        ) as wanted (name, value) using (name)
        """
    )
    query = f"select pid, {STARTED} from pg_stat_activity where pid = pg_backend_pid()"
    return Session(*only_row(conn, query))


def end(conn: psycopg.Connection, session: Session) -> None:
    """End a session that may not know yet that its client is cut off."""
    query = (
        f"select pg_terminate_backend(pid) from pg_stat_activity where (pid, {STARTED}) = (%s, %s)"
    )
    conn.execute(query, [session.pid, session.started])


def try_lock(conn: psycopg.Connection, schema: str, job: str) -> bool:
    """Take the lock of a job in a schema until the transaction ends, if nobody has it."""
    query = "select pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
    return only_row(conn, query, [_key(schema, job)])[0]


def is_locked(conn: psycopg.Connection, schema: str, job: str) -> bool:
    """Return whether anybody has the lock of a job, without taking it."""
    query = """
        select count(*) > 0
        from pg_locks
        where
            locktype = 'advisory'
            and database = (select oid from pg_database where datname = current_database())
            and objsubid = 1
            and cast(classid as bigint) << 32 | cast(objid as bigint) = hashtextextended(%s, 0)
    """
    return only_row(conn, query, [_key(schema, job)])[0]


def lock_creation(conn: psycopg.Connection, schema: str) -> None:
    """Wait until nobody else creates things in `schema`: two first runs may start at once."""
    query = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
    conn.execute(query, [_key(schema, "create")])


def _key(schema: str, name: str) -> str:
    return f"{schema}:{name}"
