"""What users do over time and by dimension, in plain Python.

A second opinion on the SQL, as `oracle` is. `days` are the days of the window, in order. A
dimension is a column of an event, or a path into one that holds JSON.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from oracle import (
    DAY,
    NONE,
    WEEK,
    History,
    Key,
    Metric,
    Row,
    Source,
    day_of,
    distinct_users,
    events_by_day,
    first_seen,
    histories,
    is_final,
    is_key_event,
    mapped_pairs,
    midnight_after,
    pair_key,
    percentile,
    scalar_text,
    sessions_within,
    share,
    shortened,
    today,
)

KEPT_VALUES = 20
COHORTS = {"day": (DAY, 30), "week": (WEEK, 12)}  # period: its length, and its last number
ACTIVE = {"day": 1, "week": 7, "month": 28}
Value = str | None


class Funnel(NamedTuple):
    name: str
    steps: list[tuple[str, set[str]]]  # names of the steps, in order, and of their events
    window: timedelta


class Conversion(NamedTuple):
    """A row of funnel_conversion_rollups without its key."""

    step: int
    users_count: int
    median_seconds: float | None
    matures_at: datetime
    is_final: bool


class Cell(NamedTuple):
    """A row of retention_rollups without its key."""

    users_count: int
    period_start: date
    period_end: date
    is_final: bool


def daily_dimensions(
    source: Source, now: datetime, days: list[date], dimensions: list[str]
) -> dict[Key, Metric]:
    """(day, metric_name, dimension_key) -> (value, dimensions, is_final)."""
    rows: dict[Key, Metric] = {}
    users = histories(source, now).values()
    by_day = events_by_day(source, now, days)
    for dimension in dimensions:
        seen = [event for events in by_day.values() for event in events]
        key_of = keys(dimension, ((value_of(e, dimension), e["anonymous_user_id"]) for e in seen))
        for day, events in by_day.items():
            new = [user for user in users if day_of(first_seen(user)) == day]
            for key in {key_of(value_of(event, dimension)) for event in events}:
                its = [event for event in events if key_of(value_of(event, dimension)) == key]
                its_new = [user for user in new if key_of(first_value(user, dimension)) == key]
                converted = sum(sessions_within(DAY, user) > 0 for user in its_new)
                rate = {"cohort_size": len(its_new), "converted_users": converted}
                sessions = sum(is_key_event(event) for event in its)
                for name, value, extra, wait in (
                    ("dau", distinct_users(its), None, NONE),
                    ("new_users", len(its_new), None, NONE),
                    ("sessions_submitted", sessions, None, NONE),
                    ("logging_rate_24h", share(converted, len(its_new)), rate, DAY),
                ):
                    rows[day, name, key] = (float(value), extra, is_final(day, wait, now))
    return rows


class Entry(NamedTuple):
    """A user who entered a funnel on a day."""

    user: str
    events: list[Row]  # of the first step, at the moment of the entry
    moments: list[datetime]  # at which the user reached the first step, the second, ...


def conversions(
    source: Source, now: datetime, days: list[date], funnels: list[Funnel], dimensions: list[str]
) -> dict[Key, Conversion]:
    """(day, funnel_name, step_name, dimension_key) -> its users."""
    rows: dict[Key, Conversion] = {}
    users = histories(source, now)
    entries = {(day, funnel.name): entered(users, day, funnel)
               for day in days for funnel in funnels}  # fmt: skip
    everybody = [entry for its in entries.values() for entry in its]
    key_of = {
        dimension: keys(dimension, ((first_value(e.events, dimension), e.user) for e in everybody))
        for dimension in dimensions
    }
    for funnel in funnels:
        for day in days:
            of_key: dict[str, list[Entry]] = {"overall": entries[day, funnel.name]}
            for entry in entries[day, funnel.name]:
                its_keys = [pair_key(*pair) for pair in first_pairs(entry.events)]
                its_keys += [key_of[d](first_value(entry.events, d)) for d in dimensions]
                for key in its_keys:
                    of_key.setdefault(key, []).append(entry)
            matures_at = midnight_after(day) + funnel.window
            for step, (step_name, _) in enumerate(funnel.steps, start=1):
                for key, its in of_key.items():
                    reached = [entry.moments for entry in its if len(entry.moments) >= step]
                    waits = [(at[step - 1] - at[0]).total_seconds() for at in reached]
                    median = percentile(waits, 0.5) if waits else None
                    if reached or key == "overall":
                        rows[day, funnel.name, step_name, key] = Conversion(
                            step, len(reached), median, matures_at, matures_at <= now
                        )
    return rows


def entered(users: dict[str, History], day: date, funnel: Funnel) -> list[Entry]:
    entries = []
    (_, first_names), *steps = funnel.steps
    for user, events in users.items():
        entering = [event for event in events if event["event_name"] in first_names
                    and day_of(event["occurred_at"]) == day]  # fmt: skip
        if entering:
            moments = [entering[0]["occurred_at"]]
            until = moments[0] + funnel.window
            for _, names in steps:
                later = [event["occurred_at"] for event in events if event["event_name"] in names
                         and moments[-1] <= event["occurred_at"] <= until]  # fmt: skip
                if not later:
                    break
                moments.append(later[0])
            entries.append(Entry(user, at_once(entering), moments))
    return entries


def retention(
    source: Source, now: datetime, days: list[date], dimensions: list[str]
) -> dict[Key, Cell]:
    """(period, cohort_start, period_number, dimension_key) -> its users."""
    users = histories(source, now)
    active_days = {user: {day_of(e["occurred_at"]) for e in its} for user, its in users.items()}
    cohorts: dict[tuple[str, date], list[str]] = defaultdict(list)
    for user, events in users.items():
        born = day_of(first_seen(events))
        cohorts["day", born].append(user)
        cohorts["week", born - born.weekday() * DAY].append(user)
    cells = [
        (period, start, number, start + number * COHORTS[period][0])
        for period, start in cohorts
        for number in range(COHORTS[period][1] + 1)
    ]
    cells = [
        (period, start, number, begins)
        for period, start, number, begins in cells
        if begins <= min(days[-1], today(now)) and begins + COHORTS[period][0] > days[0]
    ]
    members = {user for period, start, *_ in cells for user in cohorts[period, start]}
    keys_of: dict[str, list[str]] = {user: ["overall"] for user in members}
    for dimension in dimensions:
        values = {user: first_value(users[user], dimension) for user in members}
        key_of = keys(dimension, ((value, user) for user, value in values.items()))
        for user, value in values.items():
            keys_of[user].append(key_of(value))
    rows: dict[Key, Cell] = {}
    for period, start, number, begins in cells:
        ends = begins + COHORTS[period][0] - DAY
        counts: dict[str, int] = defaultdict(int)
        for user in cohorts[period, start]:
            for key in keys_of[user]:
                counts[key] += any(begins <= day <= ends for day in active_days[user])
        for key, count in counts.items():
            rows[period, start, number, key] = Cell(count, begins, ends, is_final(ends, NONE, now))
    return rows


def active(
    source: Source, now: datetime, days: list[date], dimensions: list[str]
) -> dict[Key, tuple[int, bool]]:
    """(day, period, dimension_key) -> (users, is_final)."""
    longest = max(ACTIVE.values())
    earlier = [days[0] - n * DAY for n in range(longest - 1, 0, -1)]
    users: dict[tuple[date, str], set[str]] = defaultdict(set)  # (day, key) -> who was active
    events = [e for its in events_by_day(source, now, earlier + days).values() for e in its
              if e["anonymous_user_id"] is not None]  # fmt: skip
    for event in events:
        users[day_of(event["occurred_at"]), "overall"].add(event["anonymous_user_id"])
    for dimension in dimensions:
        values = [value_of(event, dimension) for event in events]
        ids = [event["anonymous_user_id"] for event in events]
        key_of = keys(dimension, zip(values, ids, strict=True))
        for event, value in zip(events, values, strict=True):
            users[day_of(event["occurred_at"]), key_of(value)].add(event["anonymous_user_id"])
    rows: dict[Key, tuple[int, bool]] = {}
    for day in days:
        for period, length in ACTIVE.items():
            counted = [day - n * DAY for n in range(length)]
            for key in {"overall", *(key for its_day, key in users if its_day in counted)}:
                count = len(set().union(*(users.get((one, key), set()) for one in counted)))
                rows[day, period, key] = (count, is_final(day, NONE, now))
    return rows


# What the tables share.


def value_of(event: Row, dimension: str) -> Value:
    """An event's value of a dimension, any JSON as its text; None if it is missing."""
    column, *path = dimension.split(".")
    value = event[column]
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if value is None or isinstance(value, str) else json_text(value)


def at_once(events: list[Row]) -> list[Row]:
    """The first of the events and those of the same moment."""
    return [event for event in events if event["occurred_at"] == events[0]["occurred_at"]]


def first_value(events: list[Row], dimension: str) -> Value:
    return smallest(value_of(event, dimension) for event in at_once(events))


def first_pairs(events: list[Row]) -> list[tuple[str, str]]:
    """The pairs of the first event's map; of several at once, of the smallest map by its text."""
    mapped = [event for event in at_once(events) if event["experiment_map"] is not None]
    mapped.sort(key=lambda event: json_text(event["experiment_map"]).encode())
    return mapped_pairs(mapped[0]) if mapped else []


def smallest(values: Iterable[Value]) -> Value:
    """The smallest by its bytes; what is missing comes last."""
    return min((v for v in values if v is not None), key=str.encode, default=None)


def keys(dimension: str, seen: Iterable[tuple[Value, str | None]]) -> Callable[[Value], str]:
    """A function from values to keys, which names the values that most users were seen with."""
    users: dict[str, set[str | None]] = defaultdict(set)
    for value, user in seen:
        if value is not None:
            users[value].add(user)
    ranked = sorted(users, key=lambda value: (-len(users[value] - {None}), value.encode()))
    kept = set(ranked[:KEPT_VALUES])

    def key_of(value: Value) -> str:
        if value is None:
            return f"{dimension}=(none)"
        if value not in kept:
            return f"{dimension}=(other)"
        text = value.replace("%", "%25").replace(":", "%3A")
        if text in ("(none)", "(other)"):
            text = "%28" + text[1:]
        return shortened(f"{dimension}={text}")

    return key_of


def json_text(value: Any) -> str:
    """JSON as jsonb prints it."""
    if isinstance(value, dict):
        pairs = (f"{json_text(name)}: {json_text(its)}" for name, its in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "null" if value is None else scalar_text(value) or ""
