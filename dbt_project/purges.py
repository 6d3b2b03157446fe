"""What `--allow-purged` would do to days whose events the source no longer has.

`macros/materialize.sql` keeps such days as they are, unless the var `allow_purged` is true.
"""

import sys
from datetime import date, timedelta

import click
import psycopg
from psycopg import sql

from dbt_project.database import only_row
from dbt_project.jobs import ROLLUPS
from dbt_project.messages import Failure, echo
from dbt_project.window import MAX_DAYS, Window


class PurgedKept(Failure):
    """The user did not agree to lose what cannot be computed again; nothing was run."""


def agree(
    conn: psycopg.Connection,
    schemas: tuple[str, str],
    jobs: tuple[str, ...],
    window: Window,
    yes: bool,
) -> None:
    """Say what the jobs would do to purged days, and ask for consent unless `yes` is given.

    `schemas` are the source's and the rollups'. Asks nothing where there is nothing to lose.
    Raises PurgedKept when the answer is no, or when there is no terminal to ask at.
    """
    loss = _loss(conn, *schemas, jobs, window)
    if not loss:
        return
    echo(loss, err=True)
    if yes or (has_terminal() and click.confirm("Recompute them?", err=True)):
        return
    advice = "" if has_terminal() else " Add --yes to agree without a terminal."
    raise PurgedKept(f"Nothing was run, and these days keep their rows.{advice}")


def has_terminal() -> bool:
    return sys.stdin.isatty()


def _loss(
    conn: psycopg.Connection, source: str, analytics: str, jobs: tuple[str, ...], window: Window
) -> str | None:
    first_day = _first_day(conn, source, window)
    end = min(first_day or window.end.date(), window.end.date())
    rows_lost: list[str] = []
    days: set[date] = set()
    for table in (ROLLUPS[job] for job in jobs):
        exists = "select to_regclass(quote_ident(%s) || '.' || %s) is not null"
        if not only_row(conn, exists, [analytics, table])[0]:
            continue
        counts = sql.SQL("select day, count(*) from {} where day >= %s and day < %s group by 1")
        query = counts.format(sql.Identifier(analytics, table))
        rows: dict[date, int] = dict(conn.execute(query, [window.start.date(), end]).fetchall())
        if rows:
            rows_lost.append(f"{sum(rows.values()):,} rows of {table}")
            days |= rows.keys()
    if not days:
        return None
    begins = "The source has no valid event" + (f" before {first_day}" if first_day else "")
    return (
        f"{begins}. With --allow-purged this run recomputes {len(days)} days without any, from"
        f" {min(days)} to {max(days)}, which have {', '.join(rows_lost)}. Counts and rates become"
        " 0, and rows of event names and of the funnel's variants go. They cannot be computed"
        " again."
    )


def _first_day(conn: psycopg.Connection, source: str, window: Window) -> date | None:
    """Return the UTC day of the earliest valid event, None without one."""
    query = sql.SQL(
        "select to_char(timestamp '1970-01-01' + (min(occurred_at) - '1970-01-01 00:00:00+00'),"
        " 'YYYY-MM-DD')::date from {} where occurred_at >= {} and occurred_at <= {}"
    )
    # As text without a type, the bounds take the column's, with or without a time zone.
    bounds = (window.as_of - timedelta(days=MAX_DAYS), window.as_of + timedelta(minutes=5))
    literals = [sql.SQL("'{}'").format(sql.SQL(bound.isoformat(sep=" "))) for bound in bounds]
    place = sql.Identifier(source, "event_logs")
    return only_row(conn, query.format(place, *literals))[0]
