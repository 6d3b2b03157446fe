"""What a run computes: jobs, and a window of days, which `macros/window.sql` repeats for dbt.

A job is a folder of models, of seeds and of tests. Its name is the selector, so
`dbt build --select daily` and `rollup --job daily` build the same.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from dbt_project.days import MOMENT, end_of, start_of, today
from dbt_project.settings import timezone

JOBS = ("daily", "experiment", "funnel", "retention")
# The model whose rows count as the job's, and whose failure keeps the rest from running.
ROLLUPS = {
    "daily": "daily_metric_rollups",
    "experiment": "experiment_metric_rollups",
    "funnel": "funnel_rollups",
    "retention": "retention_rollups",
}
# The folder of the tests that compare jobs. dbt adds such a test where all it reads is selected.
ACROSS = "across"
DEFAULT_DAYS, MAX_DAYS = 14, 180


def selection(jobs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the dbt selectors for `jobs`, each once and in the order of `JOBS`."""
    return tuple(job for job in JOBS if job in jobs)


def jobs_of(fqn: list[str], jobs: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of `jobs` a dbt node belongs to: the one whose folder it is in, or all."""
    return (fqn[1],) if len(fqn) > 1 and fqn[1] in jobs else jobs


@dataclass(frozen=True)
class Window:
    """The `days` days of `zone` up to `to`, or up to the day of `as_of` (aware)."""

    as_of: datetime
    days: int
    to: date | None = None
    zone: ZoneInfo = field(default_factory=timezone)

    @property
    def last(self) -> date:
        return self.to or today(self.as_of, self.zone)

    @property
    def first(self) -> date:
        return self.last - timedelta(days=self.days - 1)

    @property
    def start(self) -> datetime:
        """The instant at which the first day begins, in UTC."""
        return start_of(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The instant at which the last day has ended, in UTC."""
        return end_of(self.last, self.zone)


def window_of_days(now: datetime, first: date, last: date | None) -> Window:
    """Return the window of the days `first` to `last`, both included, as of `now`.

    Raises ValueError unless they are days of the last 180, in this order: only there are events
    valid.
    """
    current = Window(now, MAX_DAYS)
    last = last or current.last
    if not current.first <= first <= last <= current.last:
        raise ValueError(f"days must be from {current.first} to {current.last}, in this order")
    return Window(now, (last - first).days + 1, last)


def parse_instant(text: str) -> datetime:
    """Return an ISO 8601 time as aware UTC; of a day without a time, its last instant.

    A day, and a time without an offset, are of the zone of days. Raises ValueError when `text` is
    neither, or lies outside the years that a window can span.
    """
    instant = datetime.fromisoformat(text)
    if not 1971 <= instant.year <= 9998:
        raise ValueError(f"year {instant.year} is out of range")
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return end_of(instant.date(), timezone()) - MOMENT
    return (instant if instant.tzinfo else instant.replace(tzinfo=timezone())).astimezone(UTC)


def iso(instant: datetime) -> str:
    """Return an aware UTC instant the way JavaScript prints it: 2026-11-24T00:00:00.000Z."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
