"""What the rollup tables must hold, worked out from source rows in plain Python.

A second opinion on the SQL: tests feed both the same rows and compare. Made to be read, not to be
fast. Datetimes are naive and mean UTC; days are of ROLLUP_TIMEZONE. A SQL null is None; an infinite
timestamp is `datetime.max` or `datetime.min`. An event is a dict keyed by column name, as is every
other row.
"""

import hashlib
import math
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
History = list[Row]  # one user's valid events, oldest first
Key = tuple  # a day and texts; of retention (period, cohort_start, period_number, dimension_key)
Metric = tuple[float, Row | None, bool]  # value, dimensions, is_final
Count = tuple[str | None, str | None, int, int, bool]  # experiment, variant, users, events, final

NONE, DAY, WEEK = timedelta(0), timedelta(days=1), timedelta(days=7)
LOOKS_BACK = {"retention": 90 * DAY, "active": 27 * DAY}  # to days before the window


@dataclass
class Source:
    """The four source tables. `experiment_map` is decoded JSON (`parse_float=Decimal` is exact)."""

    events: list[Row] = field(default_factory=list)
    assignments: list[Row] = field(default_factory=list)
    experiments: list[Row] = field(default_factory=list)
    variants: list[Row] = field(default_factory=list)


def window(now: datetime, window_days: int) -> tuple[datetime, datetime]:
    """The run's half-open range [start, end): of `window_days` days, the last that of `now`."""
    if not 1 <= window_days <= 180:
        raise ValueError(f"window_days must be 1..180, got {window_days}")
    last = today(now)
    return midnight_before(last - (window_days - 1) * DAY), midnight_after(last)


def daily(source: Source, now: datetime, window_days: int) -> dict[Key, Metric]:
    """(day, metric_name, dimension_key) -> (value, dimensions, is_final); lags are in seconds."""
    rows: dict[Key, Metric] = {}
    users = list(histories(source, now).values())
    for day, events in events_by_day(source, now, window_dates(now, window_days)).items():
        new = [user for user in users if day_of(first_seen(user)) == day]
        converted = sum(sessions_within(DAY, user) > 0 for user in new)
        lags = [lag for lag in map(lag_seconds, events) if lag is not None]
        volumes = Counter(e["event_name"] for e in events if e["event_name"] is not None)
        rate = {"cohort_size": len(new), "converted_users": converted}
        metrics = {
            "dau": (distinct_users(events), None, NONE),
            "new_users": (len(new), None, NONE),
            "sessions_submitted": (sum(map(is_key_event, events)), None, NONE),
            "logging_rate_24h": (share(converted, len(new)), rate, DAY),
            "ingestion_lag_p50": (percentile(lags, 0.5), {"unit": "seconds"}, NONE),
            "ingestion_lag_p95": (percentile(lags, 0.95), {"unit": "seconds"}, NONE),
        }
        for name, (value, dimensions, wait) in metrics.items():
            rows[day, name, "overall"] = (float(value), dimensions, is_final(day, wait, now))
        for name, count in volumes.items():
            dimensions = {"event_name": name, "day": day.isoformat()}
            volume = (float(count), dimensions, is_final(day, NONE, now))
            rows[day, "event_volume_by_name", shortened(name)] = volume
    return rows


def experiment(source: Source, now: datetime, window_days: int) -> dict[Key, Metric]:
    """(day, experiment_id, variant_id, metric_name) -> (value, dimensions, is_final)."""
    rows: dict[Key, Metric] = {}
    start, _ = window(now, window_days)
    in_scope = {row["experiment_id"] for row in source.experiments if is_in_scope(row, start)}
    users = histories(source, now)
    for variant in source.variants:
        pair = (variant["experiment_id"], variant["variant_id"])
        if None in pair or pair[0] not in in_scope:
            continue
        key = tuple(map(id_key, pair))
        mine = [a for a in source.assignments if (a["experiment_id"], a["variant_id"]) == pair]
        dates = [a["assigned_at"] for a in mine if a["assigned_at"] is not None]
        names = {a["anonymous_user_id"] for a in mine}
        members = [user for name, user in users.items() if name in names]
        for day in window_dates(now, window_days):
            cohort = [user for user in members if day_of(first_seen(user)) == day]
            converted = sum(sessions_within(DAY, user) > 0 for user in cohort)
            size = {"day": day.isoformat(), "cohort_size": len(cohort)}
            rate = size | {"converted_users": converted}
            assigned = sum(assigned_at < midnight_after(day) for assigned_at in dates)
            sessions = sum(sessions_within(WEEK, user) for user in cohort)
            metrics = {
                "users_assigned": (assigned, size, NONE),
                "users_active_d1": (sum(map(was_active_d1, cohort)), size, DAY),
                "sessions_submitted_d7": (sessions, size, WEEK),
                "logging_rate_24h_by_variant": (share(converted, len(cohort)), rate, DAY),
            }
            for name, (value, dimensions, wait) in metrics.items():
                rows[day, *key, name] = (float(value), dimensions, is_final(day, wait, now))
    return rows


def funnel(
    source: Source, now: datetime, window_days: int, steps: list[tuple[str, str, str]]
) -> dict[Key, Count]:
    """(day, funnel_name, step_name, dimension_key) -> (experiment, variant, users, events, final).

    `steps` holds (funnel_name, step_name, event_name), one entry per event name of a step.
    """
    rows: dict[Key, Count] = {}
    for day, events in events_by_day(source, now, window_dates(now, window_days)).items():
        final = is_final(day, NONE, now)
        for step in {(funnel_name, step_name) for funnel_name, step_name, _ in steps}:
            names = {name for *its_step, name in steps if tuple(its_step) == step}
            hits = [event for event in events if event["event_name"] in names]
            rows[day, *step, "overall"] = (None, None, distinct_users(hits), len(hits), final)
            hits_of: dict[tuple[str, str], list[Row]] = defaultdict(list)
            for event in hits:
                for pair in mapped_pairs(event):
                    hits_of[pair].append(event)
            for pair, its in hits_of.items():
                counts = (*pair, distinct_users(its), len(its), final)
                rows[day, *step, pair_key(*pair)] = counts
    return rows


def ignored(source: Source, now: datetime, window_days: int) -> int:
    """How many invalid events have either of their two timestamps inside the window."""
    start, end = window(now, window_days)

    def inside(moment: datetime | None) -> bool:
        return moment is not None and start <= moment < end

    invalid = [event for event in source.events if not is_valid(event, now)]
    return sum(inside(event["occurred_at"]) or inside(event["received_at"]) for event in invalid)


@dataclass
class Log:
    """What the run log remembers of a job: the newest `now`, and where a purged source began."""

    newest: datetime | None = None
    kept_since: datetime | None = None


def merge(
    table: str,
    before: dict[Key, Any],
    fresh: dict[Key, Any],
    source: Source,
    now: datetime,
    window_days: int,
    log: Log,
) -> dict[Key, Any]:
    """A table's rows after a run, from those it had and those just computed; notes it in `log`.

    Days before the source's first event keep the rows they have. If there was something on them,
    and the first event is in the window or where the table looks back from it, the source was
    purged: then final rows stay as well. It stays purged though an old event arrives late. A run
    as of the past changes only what is final.
    """
    begins = min((e["occurred_at"] for e in valid_events(source, now)), default=None)
    known = max(filter(None, (begins, log.kept_since)), default=None)
    days = window_dates(now, window_days)
    had_events = any(known is None or days_of(table, key)[0] < day_of(known)
                     for key, row in before.items() if shows_events(table, row, known))  # fmt: skip
    looks_back_to = days[0] - LOOKS_BACK.get(table, NONE)
    purged = had_events and (known is None or day_of(known) >= looks_back_to)
    first_day = date.max if begins is None else day_of(known if purged else begins)
    older = log.newest is not None and log.newest > now
    moving = {set_of(table, key) for key, row in fresh.items() if not row[-1]}

    def stays(key: Key, row: tuple) -> bool:
        origin, first, last = days_of(table, key)
        if last < days[0] or days[-1] < first or origin < first_day or (purged and row[-1]):
            return True
        return older and (not is_final(last, NONE, now) or set_of(table, key) in moving)

    kept = {key: row for key, row in before.items() if stays(key, row)}
    taken = {set_of(table, key) for key in kept}
    added = {key: row for key, row in fresh.items() if row[-1] or not older}
    log.newest = max(now, log.newest or now)
    log.kept_since = known if purged and begins is not None else log.kept_since
    return kept | {key: row for key, row in added.items() if set_of(table, key) not in taken}


def shows_events(table: str, row: Any, known: datetime | None) -> bool:
    """Whether the row, of a day before `known`, was computed from events before `known`."""
    return {
        "daily": lambda: row[0] > 0,
        "experiment": lambda: row[1]["cohort_size"] > 0,
        "funnel": lambda: row[2] > 0,
        "dimensions": lambda: row[0] > 0,
        "conversions": lambda: row.users_count > 0,
        "retention": lambda: row.users_count > 0,
        "active": lambda: row[0] > 0,
        "statistics": lambda: (
            (row.pre_mean or 0) > 0 or (row.mean > 0 and (known is None or row.matures_at <= known))
        ),
    }[table]()


def days_of(table: str, key: Key) -> tuple[date, date, date]:
    """The last day on which its users may be new, and the first and last day that it is about."""
    if table != "retention":
        return (key[0],) * 3
    period, cohort_start, number, _ = key
    length = WEEK if period == "week" else DAY
    first = cohort_start + number * length
    return cohort_start + length - DAY, first, first + length - DAY


def set_of(table: str, key: Key) -> tuple:
    """What the rows of one day, and of one metric or step, have in common."""
    return key if table in ("experiment", "statistics") else key[:-1]


# The rules that the tables share.


def is_valid(event: Row, now: datetime) -> bool:
    """Whether it happened at most 180 days ago and at most 5 minutes from now, both included."""
    moment = event["occurred_at"]
    return moment is not None and now - 180 * DAY <= moment <= now + timedelta(minutes=5)


def valid_events(source: Source, now: datetime) -> list[Row]:
    return [event for event in source.events if is_valid(event, now)]


def histories(source: Source, now: datetime) -> dict[str, History]:
    """Every user that has a valid event: id -> events."""
    users: dict[str, History] = defaultdict(list)
    for event in sorted(valid_events(source, now), key=lambda event: event["occurred_at"]):
        if event["anonymous_user_id"] is not None:
            users[event["anonymous_user_id"]].append(event)
    return users


def first_seen(user: History) -> datetime:
    return user[0]["occurred_at"]


def sessions_within(reach: timedelta, user: History) -> int:
    """Sessions submitted from the first moment on, that one and the last one included."""
    moments = [event["occurred_at"] for event in user if is_key_event(event)]
    return sum(first_seen(user) <= moment <= first_seen(user) + reach for moment in moments)


def was_active_d1(user: History) -> bool:
    """Whether there is a later event, the first moment not included, within a day."""
    return any(first_seen(user) < e["occurred_at"] <= first_seen(user) + DAY for e in user)


def events_by_day(source: Source, now: datetime, days: list[date]) -> dict[date, list[Row]]:
    """Valid events of each of the days, an empty list where there are none."""
    found: dict[date, list[Row]] = {day: [] for day in days}
    for event in valid_events(source, now):
        if day_of(event["occurred_at"]) in found:
            found[day_of(event["occurred_at"])].append(event)
    return found


def window_dates(now: datetime, window_days: int) -> list[date]:
    return [today(now) - n * DAY for n in range(window_days - 1, -1, -1)]


def zone() -> str:
    return os.environ.get("ROLLUP_TIMEZONE", "UTC")


def key_events() -> list[str]:
    return [name.strip() for name in os.environ.get("KEY_EVENT", "session_submitted").split(",")]


def is_key_event(event: Row) -> bool:
    return event["event_name"] in key_events()


def day_of(moment: datetime) -> date:
    """The local date."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone())).date()


def today(now: datetime) -> date:
    """The day of `now`, which is not over as long as it returns when clocks are set back."""
    return min(day for day in (day_of(now) - DAY, day_of(now)) if midnight_after(day) > now)


def midnight_before(day: date) -> datetime:
    return midnights(day, zone())[0]


def midnight_after(day: date) -> datetime:
    return midnights(day, zone())[1]


@cache
def midnights(day: date, zone: str) -> tuple[datetime, datetime]:
    """The first minute that is not before the day, and the one after the last not after it."""
    noon = datetime.combine(day, time(12))
    if zone == "UTC":
        return noon - DAY / 2, noon + DAY / 2
    minutes = [noon + timedelta(minutes=n) for n in range(-2880, 2880)]
    days = [at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() for at in minutes]
    begins = next(at for at, its in zip(minutes, days, strict=True) if its >= day)
    last = max(at for at, its in zip(minutes, days, strict=True) if its <= day)
    return begins, last + timedelta(minutes=1)


def is_final(day: date, wait: timedelta, now: datetime) -> bool:
    return now >= midnight_after(day) + wait


def is_in_scope(experiment_row: Row, window_start: datetime) -> bool:
    if experiment_row["status"] in ("PAUSED", "ENDED"):
        return experiment_row["end_at"] is not None and experiment_row["end_at"] >= window_start
    return experiment_row["status"] == "RUNNING"


def distinct_users(events: list[Row]) -> int:
    return len({event["anonymous_user_id"] for event in events} - {None})


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def lag_seconds(event: Row) -> float | None:
    """From happening to arrival, at least 0; None if the arrival is unknown or infinite."""
    if event["received_at"] in (None, datetime.max, datetime.min):
        return None
    return max((event["received_at"] - event["occurred_at"]).total_seconds(), 0.0)


def percentile(values: list[float], fraction: float) -> float:
    """PostgreSQL's percentile_cont: between the two nearest values, in proportion; 0 of none."""
    if not values:
        return 0.0
    position = fraction * (len(values) - 1)
    low, high = (sorted(values)[end(position)] for end in (math.floor, math.ceil))
    return low + (position - math.floor(position)) * (high - low)


def mapped_pairs(event: Row) -> list[tuple[str, str]]:
    """The (experiment_id, variant_id) pairs that the event itself carries."""
    mapping = event["experiment_map"]
    if not isinstance(mapping, dict):
        return []
    pairs = [(key, scalar_text(value)) for key, value in mapping.items()]
    return [(key, text) for key, text in pairs if text is not None]


def scalar_text(value: Any) -> str | None:
    """A JSON string, boolean or number (without exponent, as jsonb has it) as text; else None."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return format(Decimal(str(value)), "f")
    return value if isinstance(value, str) else None


def pair_key(*ids: str) -> str:
    return shortened(":".join(part.replace("%", "%25").replace(":", "%3A") for part in ids))


def shortened(text: str) -> str:
    """The text, or if it is over 200 characters its beginning and a hash: 245 characters."""
    return text if len(text) <= 200 else abridged(text)


def id_key(text: str) -> str:
    """The id, or if it is over 1,200 bytes or looks abridged its beginning and a hash."""
    looks_abridged = len(text) == 245 and re.search("~[0-9a-f]{64}$", text)
    return text if len(text.encode()) <= 1200 and not looks_abridged else abridged(text)


def abridged(text: str) -> str:
    return text[:180] + "~" + hashlib.sha256(text.encode()).hexdigest()
