"""Generate a database of events for the measurements of the jobs."""

from pathlib import Path

import psycopg
from psycopg import sql

from dbt_project.source import create_source_tables

INDEXED = """
    alter table event_logs add primary key (id), add unique (event_id);
    create index on event_logs (anonymous_user_id);
    create index on event_logs (session_id);
    create index on event_logs (event_name);
    create index on event_logs (occurred_at);
"""


def generate(
    conn: psycopg.Connection,
    *,
    events: int,
    users: int,
    days: int,
    as_of: str,
    experiments: int = 2,
    session_events: int = 8,
    analyze: bool = True,
) -> None:
    """Fill the empty database of `conn` (autocommit) with about `events` events of `users` users.

    The events are spread over the `days` days before `as_of`, in sessions of `session_events`.
    Indexes are built after the rows; inserting ten million random keys would take half an hour.
    """
    create_source_tables(conn, "public")
    indexes = conn.execute(
        "select indexname from pg_indexes where tablename = 'event_logs' and indexname like '%idx'"
    )
    for (index,) in indexes.fetchall():
        conn.execute(sql.SQL("drop index {}").format(sql.Identifier(index)))
    conn.execute(
        "alter table event_logs drop constraint event_logs_pkey,"
        " drop constraint event_logs_event_id_key"
    )
    settings = {
        "events": events,
        "users": users,
        "days": days,
        "experiments": experiments,
        "session_events": session_events,
        "as_of": as_of,
    }
    for name, value in settings.items():
        conn.execute("select set_config(%s, %s, false)", [f"bench.{name}", str(value)])
    conn.execute(
        "set work_mem = '512MB'; set maintenance_work_mem = '1GB'; set jit = off;"
        " set max_parallel_workers_per_gather = 0; set synchronous_commit = off"
    )
    conn.execute(Path(__file__).with_name("events.sql").read_text())
    conn.execute(INDEXED)
    conn.execute("vacuum analyze" if analyze else "vacuum")
    conn.execute("reset all")
