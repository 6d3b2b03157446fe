"""What a run may not change in a rollup: `macros/run_limits.sql`, asked from Python."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dbt_project import macros
from dbt_project.window import MAX_DAYS, Window


def event_log(schema: str) -> str:
    """Return the event log in this database, as SQL."""
    return sql.Identifier(schema, "event_logs").as_string()


def event_log_since(begins: datetime | None) -> str:
    """Return, as SQL, one that is elsewhere and whose first valid event was at `begins`."""
    instant = f"timestamptz '{begins.astimezone(UTC)}'" if begins else "cast(null as timestamptz)"
    return f"(values ({instant})) as event_logs (occurred_at)"


def of_rollup(
    conn: psycopg.Connection,
    logs: str,
    schema: str,
    table: str,
    job: str,
    meta: dict[str, Any],
    window: Window,
) -> dict[str, Any]:
    """Return the row of `run_limits`; `logs` is the event log, `schema` that of the rollups."""
    query = macros("run_limits").run_limits(
        logs,
        sql.Identifier(schema, table).as_string(),
        sql.Identifier(schema, "rollup_runs").as_string(),
        job,
        meta,
        f"cast('{window.as_of}' as timestamptz)",
        f"'{window.as_of - timedelta(days=MAX_DAYS)}'",
        f"'{window.as_of + timedelta(minutes=5)}'",
        window.first,
        window.last,
        window.zone.key,
    )
    with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute("set local timezone = 'UTC'")
        [found] = cursor.execute(query).fetchall()
    return found
