"""When the app's newest event was received, by `dbt source freshness`."""

from datetime import timedelta
from typing import Any

import psycopg

from dbt_project import runner
from dbt_project.database import dbt_environment
from dbt_project.window import iso


def check(conn: psycopg.Connection) -> tuple[dict[str, Any], str]:
    """Return the answer for machines (the age in seconds) and a sentence. Raises DbtFailed."""
    arguments = ["source", "freshness", "--select", "source:app.event_logs", *runner.QUIET]
    outcome = runner.dbt(arguments, dbt_environment(conn))
    if outcome.exception:
        raise runner.DbtFailed(str(outcome.exception))
    # The hook at the end of a run has a result of its own.
    (result,) = [one for one in outcome.result.results if one.node.resource_type == "source"]
    if result.status == "runtime error":
        raise runner.DbtFailed("\n  ".join(line.strip() for line in result.message.splitlines()))
    newest, age = result.max_loaded_at, max(int(result.age), 0)  # a clock may be a little ahead
    status, limits = str(result.status), result.node.freshness
    if newest.year == 1:  # what dbt gives for an empty table
        newest, status = None, "error"
        sentence = "event_logs is stale: it holds no event that was received before now."
    else:
        word = {"pass": "fresh", "warn": "late", "error": "stale"}[status]
        sentence = (
            f"event_logs is {word}: the newest event was received {timedelta(seconds=age)} ago"
            f" ({iso(newest)})."
        )
    if newest and status != "pass":
        limit = limits.error_after if status == "error" else limits.warn_after
        sentence = f"{sentence[:-1]}, and the limit is {limit.count} {limit.period}s."
    summary = {
        "ok": status != "error",
        "source": "event_logs",
        "status": status,
        "newest_received_at": newest and iso(newest),
        "age_seconds": age if newest else None,
    }
    return summary, sentence
