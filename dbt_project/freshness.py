"""How long ago the app's newest event was received, by dbt's source freshness."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from dbt_project import runner
from dbt_project.database import DatabaseError, dbt_environment
from dbt_project.runner import DbtFailed
from dbt_project.source import existing_source_tables
from dbt_project.window import iso

# dbt takes a table without a time for one that was filled then.
NEVER = 1
UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


@dataclass(frozen=True)
class Freshness:
    """What dbt found; `status` is pass, warn or error, `newest` None where nothing was received."""

    status: str
    newest: datetime | None
    age: timedelta
    limit: str

    @property
    def ok(self) -> bool:
        return self.status != "error"

    def sentence(self) -> str:
        if self.newest is None:
            return "event_logs is stale: it holds no event that was received before now."
        told = f"the newest event was received {ago(self.age)} ({iso(self.newest)})"
        if self.status == "pass":
            return f"event_logs is fresh: {told}."
        word = "late" if self.ok else "stale"
        return f"event_logs is {word}: {told}, and the limit is {self.limit}."

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints; the age is in seconds."""
        return {
            "ok": self.ok,
            "source": "event_logs",
            "status": self.status,
            "newest_received_at": self.newest and iso(self.newest),
            "age_seconds": self.newest and round(self.age.total_seconds()),
        }


def check(conn: psycopg.Connection, source_schema: str) -> Freshness:
    """Ask dbt. Raises DatabaseError when there is no event log, DbtFailed when dbt cannot tell."""
    if "event_logs" not in existing_source_tables(conn, source_schema):
        raise DatabaseError(
            f"There is no event_logs in schema {source_schema} of database {conn.info.dbname}."
            " Point DATABASE_URL or SOURCE_SCHEMA at the app's tables."
        )
    arguments = ["source", "freshness", "--select", "source:app.event_logs", *runner.QUIET]
    outcome = runner.dbt(arguments, dbt_environment(conn))
    if outcome.exception:
        raise DbtFailed(str(outcome.exception))
    # Beside the source's there is the result of the hook at a run's end.
    found = [one for one in outcome.result.results if one.node.resource_type == "source"]
    if not found:
        raise DbtFailed("models/sources.yml sets no limits to the freshness of event_logs.")
    (result,) = found
    if result.status == "runtime error":
        raise DbtFailed("\n  ".join(line.strip() for line in result.message.splitlines()))
    limits = result.node.freshness
    limit = limits.error_after if result.status == "error" else limits.warn_after
    received = result.max_loaded_at.year != NEVER
    return Freshness(
        status=str(result.status) if received else "error",
        newest=result.max_loaded_at if received else None,
        age=timedelta(seconds=max(result.age, 0)),  # a clock may be a little ahead
        limit=_counted(limit.count, limit.period) if limit else "",
    )


def ago(age: timedelta) -> str:
    """Return an age in its largest unit, rounded down."""
    for unit, seconds in UNITS:
        if count := int(age.total_seconds()) // seconds:
            return f"{_counted(count, unit)} ago"
    return "less than a minute ago"


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"
