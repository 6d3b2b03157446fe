"""The question that `--allow-purged` asks before a run: what would be lost."""

import sys

import click
import psycopg

from dbt_project import limits
from dbt_project.database import only_row
from dbt_project.messages import Failure, echo
from dbt_project.our_tables import described
from dbt_project.window import Window


class PurgedKept(Failure):
    """The user did not agree to lose what cannot be computed again; nothing was run."""


def confirm(
    conn: psycopg.Connection,
    logs: str,
    analytics: str,
    jobs: tuple[str, ...],
    window: Window,
    yes: bool,
) -> None:
    """Say what `--allow-purged` does to days that the source lost; ask unless `yes` is given.

    `logs` is the event log as SQL. Asks nothing where there is nothing to lose. Raises PurgedKept
    when the answer is no, or when there is no terminal to ask at.
    """
    loss = _loss(conn, logs, analytics, jobs, window)
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
    conn: psycopg.Connection, logs: str, analytics: str, jobs: tuple[str, ...], window: Window
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
        found = limits.of_rollup(conn, logs, analytics, table, job, meta, window)
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
