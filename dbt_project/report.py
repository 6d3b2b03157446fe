"""What a run shows while it works, and its summary for people and for machines."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from textwrap import indent
from typing import Any

import click
import psycopg
from psycopg import sql

from dbt_project.messages import echo, one_line, printable
from dbt_project.run_log import JobRun
from dbt_project.window import Window, iso

ENDED_WELL = ("success", "pass", "warn", "no-op")
SUMMARY_COLUMNS = ("job", "result", "rows written", "seconds", "events ignored")


def _ended(node: Any, result: Any) -> str:
    good, kind = node.node_status in ENDED_WELL, node.resource_type
    note = node.node_status if not good else "" if kind == "test" else result.message
    took = f"{result.execution_time:.1f} s{', ' if note else ''}{note}"
    return one_line(f"{'ok  ' if good else 'FAIL'} {kind:<5} {node.node_name} ({took})")


@contextmanager
def steps_shown() -> Iterator[Callable[..., None]]:
    """Yield a function of dbt's node info, and of its result once it has ended.

    It shows the node on stderr: in a live display on a terminal, else as a line when it ends.
    """
    if not sys.stderr.isatty():
        yield lambda node, result=None: echo(_ended(node, result), err=True) if result else None
        return
    from rich.console import Console  # only where a person watches: it takes time to import
    from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        waiting = progress.add_task("dbt starts")
        tasks: dict[str, TaskID] = {}

        def show(node: Any, result: Any = None) -> None:
            progress.update(waiting, visible=False)
            if result is None:
                label = f"{node.resource_type} {node.node_name}"
                tasks[node.unique_id] = progress.add_task(label)
                return
            if node.unique_id in tasks:
                progress.remove_task(tasks.pop(node.unique_id))
            style = "green" if node.node_status in ENDED_WELL else "bold red"
            progress.console.print(_ended(node, result), style=style, highlight=False, markup=False)

        yield show


@contextmanager
def counted(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that draws a progress bar on stderr."""
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def advance(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield advance


def plan(window: Window, jobs: tuple[str, ...], target: str, as_json: bool) -> str:
    """Return what `--dry-run` prints."""
    plan = {"jobs": list(jobs), **_instants(window), "selectors": list(jobs), "target": target}
    if as_json:
        return json.dumps(plan)
    texts = {k: ", ".join(v) if isinstance(v, list) else v for k, v in plan.items()}
    return "\n".join(f"{name:<13}{text}" for name, text in texts.items())


def _instants(window: Window) -> dict[str, str]:
    return {
        "as_of": iso(window.as_of),
        "window_start": iso(window.start),
        "window_end": iso(window.end),
    }


def summary(window: Window, runs: list[JobRun]) -> dict[str, Any]:
    """Return the summary that `--json` prints."""
    return {
        "ok": all(run.ok for run in runs),
        **_instants(window),
        "database": runs[0].database,
        "jobs": [
            {
                "job_name": run.job_name,
                "status": "SUCCESS" if run.ok else "FAILED",
                "rows_written": run.rows_written,
                "ignored_count": run.ignored_count,
                "ignored_by_rule": run.ignored,
                "seconds": round(run.seconds, 3),
                "errors": run.errors,
                "notes": run.notes,
            }
            for run in runs
        ],
    }


def summary_text(window: Window, runs: list[JobRun]) -> str:
    lines = [_heading(window), table(SUMMARY_COLUMNS, _summary_rows(runs))]
    lines += [f"\n{problem}" for problem in _problems(runs)]
    return "\n".join([*lines, f"\nWritten to {runs[0].database}."])


def summary_markdown(window: Window, runs: list[JobRun]) -> str:
    """Return the summary in GitHub's Markdown, ending with a line break."""
    aligned = ("---", "---", "---:", "---:", "---")
    rows = (SUMMARY_COLUMNS, aligned, *_summary_rows(runs))
    lines = [f"### {_heading(window)}", "", *(f"| {' | '.join(row)} |" for row in rows)]
    # Indented, so that nothing in a database's message counts as Markdown.
    quoted = [indent(problem, "    ") for problem in _problems(runs)]
    return "\n".join([*lines, *(f"\n{problem}" for problem in quoted), ""])


def _heading(window: Window) -> str:
    end = window.last + timedelta(days=1)
    return f"Window {window.first} to {end} ({window.zone}, end excluded)"


def _summary_rows(runs: list[JobRun]) -> list[tuple[str, ...]]:
    return [
        (
            run.job_name,
            "ok" if run.ok else "FAILED",
            f"{run.rows_written:,}",
            f"{run.seconds:.1f}",
            _reasons(run.ignored),
        )
        for run in runs
    ]


def _problems(runs: list[JobRun]) -> list[str]:
    """Return each note and error once, though several jobs may have it."""
    found = [
        *(note for run in runs for note in run.notes),
        *(e for run in runs for e in run.errors),
    ]
    return list(dict.fromkeys(map(printable, found)))


def runs_listed(rows: list[dict[str, Any]], as_json: bool) -> str:
    """Return rows of the run log as JSON, or as a table for people."""
    if as_json:
        return json.dumps(
            rows, default=lambda value: iso(value) if isinstance(value, datetime) else str(value)
        )
    if not rows:
        return "No run yet."
    cells: list[tuple[str, ...]] = [
        (
            row["job_name"],
            row["status"],
            f"{row['started_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            f"{(row['finished_at'] - row['started_at']).total_seconds():.1f}"
            if row["finished_at"]
            else "",
            f"{row['window_start'].astimezone(UTC):%Y-%m-%d}",
            f"{row['rows_written']:,}",
            f"{row['ignored_count']:,}",
            (row["error_text"] or "").replace("\n", " ")[:60],
        )
        for row in rows
    ]
    names = ("started (UTC)", "seconds", "window from", "rows", "ignored", "error")
    return table(("job", "status", *names), cells)


def findings(found: dict[str, str], told: bool, as_json: bool) -> str:
    """Return what `check` found."""
    if as_json:
        listed = [{"key": key, "message": text} for key, text in found.items()]
        return json.dumps({"ok": told and not found, "findings": listed})
    return "\n".join(found.values()) or "No trouble."


def latest_days(conn: psycopg.Connection, schema: str, days: int = 7) -> str:
    """Return the daily metrics of the latest `days` days as a table."""
    metrics = ("dau", "new_users", "sessions_submitted", "logging_rate_24h", "ingestion_lag_p50")
    query = sql.SQL(
        "select day, metric_name, value, is_final from {} where dimension_key = 'overall'"
        " and day > (select max(day) from {}) - %s order by day"
    ).format(*[sql.Identifier(schema, "daily_metric_rollups")] * 2)
    values: dict[Any, dict[str, str]] = {}
    for day, metric, value, is_final in conn.execute(query, [days]):
        values.setdefault(day, {})[metric] = f"{value:,.4g}" + ("" if is_final else "*")
    rows = [(str(day), *(found.get(name, "") for name in metrics)) for day, found in values.items()]
    return table(("day", *metrics), rows) + "\n* not final: time alone may still change it"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return aligned columns, numbers to the right."""
    rows = [tuple(map(one_line, row)) for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    numeric = [
        all(row[i].replace(",", "").replace(".", "").isdigit() for row in rows if row[i])
        for i in range(len(header))
    ]

    def line(row: tuple[str, ...]) -> str:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), *map(line, rows)])


def _reasons(ignored: dict[str, int]) -> str:
    parts = [f"{count:,} {rule.replace('_', ' ')}" for rule, count in ignored.items() if count]
    return ", ".join(parts) or "none"
