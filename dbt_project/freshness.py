"""When the app's newest event was received, as `dbt source freshness` says it, but without dbt."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import psycopg
from psycopg import sql

from dbt_project import ROOT, macros
from dbt_project.database import only_row
from dbt_project.window import iso

AHEAD = timedelta(minutes=5)


def check(conn: psycopg.Connection, source: str) -> tuple[dict[str, Any], str]:
    """Return the answer for machines (the age in seconds) and a sentence."""
    now = datetime.now(UTC)
    query = macros("newest_moment").newest_moment_of(
        sql.Identifier(source, "event_logs").as_string(),
        "received_at",
        *(
            f"'{moment:%Y-%m-%d %H:%M:%S.%f}+00'"
            for moment in (now - timedelta(hours=1), now + AHEAD)
        ),
    )
    with conn.transaction():
        # In a run a view that casts a text reads it in this zone, too.
        conn.execute("set local timezone = 'UTC'")
        # As a number, which is the same for both types of column.
        (epoch,) = only_row(conn, f"select extract(epoch from ({query}))")
    limits, age = _limits(), None
    if epoch is None:
        status = "error"
        sentence = "event_logs is stale: it holds no event that was received before now."
    else:
        newest = datetime.fromtimestamp(float(epoch), UTC)
        age = max(now - newest, timedelta())  # a clock may be a little ahead
        status = next((name for name, limit in limits.items() if age > limit), "pass")
        word = {"pass": "fresh", "warn": "late", "error": "stale"}[status]
        sentence = (
            f"event_logs is {word}: the newest event was received"
            f" {timedelta(seconds=int(age.total_seconds()))} ago ({iso(newest)})."
        )
        if status != "pass":
            hours = limits[status] / timedelta(hours=1)
            sentence = f"{sentence[:-1]}, and the limit is {hours:g} hours."
    summary = {
        "ok": status != "error",
        "source": "event_logs",
        "status": status,
        "newest_received_at": None if age is None else iso(newest),
        "age_seconds": None if age is None else int(age.total_seconds()),
    }
    return summary, sentence


@cache
def _limits() -> dict[str, timedelta]:
    """Return the limits of models/sources.yml, the longer one first."""
    import yaml  # comes with dbt

    (source,) = yaml.safe_load((ROOT / "models/sources.yml").read_text())["sources"]
    (table,) = [table for table in source["tables"] if table["name"] == "event_logs"]
    return {
        name: timedelta(**{f"{limit['period']}s": limit["count"]})
        for name in ("error", "warn")
        if (limit := table["config"]["freshness"].get(f"{name}_after"))
    }
