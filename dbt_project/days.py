"""Days of a time zone, which may have 23, 25 or 0 hours. `macros/days.sql` repeats this for dbt.

An event's day is its local date. Where clocks are set back across midnight, as at 00:01 in
Newfoundland until 2011, a day returns after the next one began.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MOMENT = timedelta(microseconds=1)


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant, in UTC, that is not before `day`."""
    return min(_midnights(day, zone))


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, from which on it is after `day` for good."""
    after = day + timedelta(days=1)
    found = _midnights(after, zone)
    return max(at for at in found if (at - MOMENT).astimezone(zone).date() < after)


def today(now: datetime, zone: ZoneInfo) -> date:
    """Return the day of `now`: the first that has not ended for good."""
    day = now.astimezone(zone).date()
    before = day - timedelta(days=1)
    return before if end_of(before, zone) > now else day


def _midnights(day: date, zone: ZoneInfo) -> list[datetime]:
    """Return the instants at which clocks show the day's midnight: one, or two if set back.

    Where clocks skip midnight, it is the instant at which they do.
    """
    midnight = datetime.combine(day, time())
    found = [midnight.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    shown = [at for at in found if at.astimezone(zone).replace(tzinfo=None) == midnight]
    return shown or found[:1]
