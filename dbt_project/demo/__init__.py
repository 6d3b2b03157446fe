"""The demo: fill an empty database with the data of a made-up app, and run every job."""

import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from operator import itemgetter
from random import Random

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from dbt_project import report, runner, signals, source
from dbt_project.database import (
    analytics_schema,
    connect,
    database_name,
    is_embedded,
    only_row,
    source_schema,
)
from dbt_project.demo import fitness, shop
from dbt_project.demo.people import App, clock, experiment_rows, simulate, strays
from dbt_project.home import folder
from dbt_project.messages import Failure
from dbt_project.window import JOBS, Window

DAYS = 45  # that the demo's run computes
RECEIVED_AT = source.EVENT_COLUMNS.index("received_at")
ASSIGNED_AT = 4
APPS = {"fitness": fitness.APP, "shop": shop.APP}


def run(conninfo: str, name: str = "fitness") -> tuple[str, bool]:
    """Fill the database unless the demo is there, and run all jobs with the settings of the app.

    Returns what to print, and whether all jobs succeeded.
    """
    app = APPS[name]
    window = Window(datetime.now(UTC), DAYS)
    with closing(connect(conninfo)) as conn, report.counted("Making events") as advance:
        known = found(conn, source_schema(), app)
        if not known:
            fill(conn, source_schema(), window.as_of, app=app, progress=advance)
    signals.defer()
    with runner.in_environment(settings(name)):
        runs = runner.run_jobs(conninfo, window, JOBS)
    with closing(connect(conninfo)) as conn:
        latest = report.latest_days(conn, analytics_schema())
    parts = (latest, report.summary_text(window, runs), known)
    return "\n\n".join(filter(None, parts)), all(run.ok for run in runs)


def settings(name: str) -> dict[str, str]:
    """Return the settings that runs on the app's data need and the environment lacks."""
    return {name: value for name, value in APPS[name].settings.items() if not os.environ.get(name)}


def found(conn: psycopg.Connection, schema: str, app: App = fitness.APP) -> str:
    """Return a sentence if `event_logs` holds the app's events and no others, else ""."""
    if "event_logs" not in source.existing_source_tables(conn, schema):
        return ""
    query = """
        select count(*), min(received_at), max(received_at) from {0}
        where not exists (select from {0} where cast(id as text) !~ {1})
    """
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        ours = f"^evt_({app.prefix}|{clock(app)})"
        events = sql.SQL(query).format(sql.Identifier(schema, "event_logs"), ours)
        count, first, last = only_row(cursor, events)
    again = f"delete {folder()}" if is_embedded(conn) else "name an empty database"
    if not count:
        return ""
    return (
        f"The {app.title} was there already, with {count:,} events received from {first:%Y-%m-%d}"
        f" to {last:%Y-%m-%d}. To begin again, stop `serve`, {again} and repeat."
    )


def fill(
    conn: psycopg.Connection,
    schema: str,
    now: datetime,
    *,
    app: App = fitness.APP,
    users: int = 3000,
    days: int = 45,
    seed: int = 11,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Create the source tables in `schema`, fill them, and return the number of events.

    The `days` UTC days end with the day of `now` (an aware time); what is received after `now`
    is left out. All else depends on `users`, `days`, `seed` and that day alone.
    `progress(done, total)` counts events. Works in one transaction, the caller's if one is open.
    Raises Failure, before it writes anything, when any source table exists.
    """
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    now = now.astimezone(UTC).replace(microsecond=0)
    anchor = now.replace(hour=0, minute=0, second=0)
    with conn.transaction():
        if existing := source.existing_source_tables(conn, schema):
            raise Failure(
                f"the source tables exist already in {database_name(conn)}: {', '.join(existing)}."
                " The demo needs an empty database: name one in DATABASE_URL, or leave that out"
                " and set ROLLUP_HOME to a new folder."
            )
        source.create_source_tables(conn, schema)
        events, assignments = simulate(app, Random(seed), anchor, users, days)
        events = [row for row in events if row[RECEIVED_AT] <= now]
        # These depend on `now`, so a generator of their own keeps all else the same.
        events += strays(app, Random(seed + 1), now)
        events.sort(key=itemgetter(RECEIVED_AT))
        assignments = [row for row in assignments if row[ASSIGNED_AT] <= now]

        def tick(done: int) -> None:
            if progress:
                progress(done, len(events))

        loads = zip(
            source.TABLES, (events, assignments, *experiment_rows(app, anchor)), strict=True
        )
        for table, rows in loads:
            name = sql.Identifier(schema, table)
            source.copy_rows(conn, name, rows, tick if table == "event_logs" else None)
            conn.execute(sql.SQL("analyze {}").format(name))
    return len(events)
