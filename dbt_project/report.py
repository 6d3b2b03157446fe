"""What a run says at its end, for people and for machines."""

from datetime import UTC, datetime
from textwrap import indent
from typing import Any

import psycopg
from psycopg import sql

from dbt_project.run_log import JobRun
from dbt_project.window import Window, iso

RUN_COLUMNS = (
    "job",
    "status",
    "started (UTC)",
    "seconds",
    "window from",
    "rows",
    "ignored",
    "error",
)
SUMMARY_COLUMNS = ("job", "result", "rows written", "seconds", "events ignored")


def summary(window: Window, runs: list[JobRun]) -> dict[str, Any]:
    """Return the summary that `--json` prints."""
    return {
        "ok": all(run.ok for run in runs),
        "as_of": iso(window.as_of),
        "window_start": iso(window.start),
        "window_end": iso(window.end),
        "jobs": [
            {
                "job_name": run.job_name,
                "status": "SUCCESS" if run.ok else "FAILED",
                "rows_written": run.rows_written,
                "ignored_count": run.ignored_count,
                "ignored_by_rule": run.ignored,
                "seconds": round(run.seconds, 3),
                "errors": run.errors,
            }
            for run in runs
        ],
    }


def summary_text(window: Window, runs: list[JobRun]) -> str:
    lines = [_heading(window), table(SUMMARY_COLUMNS, _summary_rows(runs))]
    return "\n".join([*lines, *(f"\n{problem}" for problem in _problems(runs))])


def summary_markdown(window: Window, runs: list[JobRun]) -> str:
    """Return the summary in GitHub's Markdown, ending with a line break."""
    aligned = ("---", "---", "---:", "---:", "---")
    rows = (SUMMARY_COLUMNS, aligned, *_summary_rows(runs))
    lines = [f"### {_heading(window)}", "", *(f"| {' | '.join(row)} |" for row in rows)]
    # Indented, so that nothing in a message of the database's is taken for Markdown.
    quoted = [indent(problem, "    ") for problem in _problems(runs)]
    return "\n".join([*lines, *(f"\n{problem}" for problem in quoted), ""])


def _heading(window: Window) -> str:
    return f"Window {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d} (UTC, end excluded)"


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
    """Each failure once, though it may stand under several jobs."""
    return list(dict.fromkeys(error for run in runs for error in run.errors))


def runs_text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No run yet."
    cells: list[tuple[str, ...]] = [
        (
            row["job_name"],
            row["status"],
            f"{row['started_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            _seconds(row["started_at"], row["finished_at"]),
            f"{row['window_start'].astimezone(UTC):%Y-%m-%d}",
            f"{row['rows_written']:,}",
            f"{row['ignored_count']:,}",
            (row["error_text"] or "").replace("\n", " ")[:60],
        )
        for row in rows
    ]
    header = (
        "job",
        "status",
        "started (UTC)",
        "seconds",
        "window from",
        "rows",
        "ignored",
        "error",
    )
    return table(header, cells)


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


def _seconds(start: datetime, end: datetime | None) -> str:
    return f"{(end - start).total_seconds():.1f}" if end else ""
