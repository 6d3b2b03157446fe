"""The window of days that a run recomputes. `macros/window.sql` says the same to dbt."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_DAYS = 180


@dataclass(frozen=True)
class Window:
    """The `days` UTC days that end with the one `as_of` (aware, UTC) falls in."""

    as_of: datetime
    days: int

    @property
    def end(self) -> datetime:
        """The first UTC midnight after `as_of`."""
        midnight = self.as_of.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + timedelta(days=1)

    @property
    def start(self) -> datetime:
        return self.end - timedelta(days=self.days)


def parse_instant(text: str) -> datetime:
    """Return an ISO 8601 date or time as aware UTC; one without an offset is taken as UTC.

    Raises ValueError when it is neither, or lies outside the years that a window can span.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    if not 1971 <= instant.year <= 9998:
        raise ValueError(f"year {instant.year} is out of range")
    return instant.astimezone(UTC)


def iso(instant: datetime) -> str:
    """Return an aware UTC instant the way JavaScript prints it: 2026-11-24T00:00:00.000Z."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
