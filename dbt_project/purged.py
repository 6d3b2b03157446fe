"""The question that `--allow-purged` asks before a run: what would be lost."""

import sys
from datetime import timedelta

import click
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dbt_project import macros
from dbt_project.database import only_row
from dbt_project.messages import Failure, echo
from dbt_project.preflight import described
from dbt_project.window import MAX_DAYS, Window


class PurgedKept(Failure):
    """The user did not agree to lose what cannot be computed again; nothing was run."""


def confirm(
    conn: psycopg.Connection,
    schemas: tuple[str, str],
    jobs: tuple[str, ...],
    window: Window,
    yes: bool,
) -> None:
    """Say what `--allow-purged` does to days that the source lost; ask unless `yes` is given.

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
    """Return what is lost: what a run would otherwise leave alone."""
    rows_lost: list[str] = []
    days: list[str] = []
    begins = "The source has no valid event."
    rollups = [
        (job, name, model["config"]["meta"])
        for name, model in described().items()
        for job in jobs
        if model["job"] == job and "meta" in model.get("config", {})
    ]
    for job, table, meta in rollups:
        exists = "select to_regclass(quote_ident(%s) || '.' || %s) is not null"
        if not only_row(conn, exists, [analytics, table])[0]:
            continue
        query = macros("run_limits").run_limits(
            *(sql.Identifier(*name).as_string() for name in (
                (source, "event_logs"), (analytics, table), (analytics, "rollup_runs"))),
            job, meta,
            f"cast('{window.as_of}' as timestamptz)",
            f"'{window.as_of - timedelta(days=MAX_DAYS)}'",
            f"'{window.as_of + timedelta(minutes=5)}'",
            window.first, window.last, window.zone.key,
        )  # fmt: skip
        with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute("set local timezone = 'UTC'")
            [found] = cursor.execute(query).fetchall()
        if found["is_purged"] and found["rows_kept"]:
            rows_lost.append(f"{found['rows_kept']:,} rows of {table}")
            days += [found["first_left"], found["last_left"]]
            if since := found["kept_since"]:
                begins = f"The source keeps {found['days_kept']} days, since {since[:16]} UTC."
    if not days:
        return None
    return (
        f"{begins} With --allow-purged this run recomputes, from what is left, final rows of"
        f" {min(days)} to {max(days)}: {', '.join(rows_lost)}. Counts fall, often to 0, users look"
        " new, and rows of event names and of the funnel's variants go. They cannot be computed"
        " again."
    )
