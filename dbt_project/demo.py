"""Demo data: users, sessions and experiments of a made-up fitness app."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from random import Random

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from dbt_project import report, runner, signals, source
from dbt_project.database import (
    analytics_schema,
    connect,
    database_name,
    is_embedded,
    only_row,
    source_schema,
)
from dbt_project.home import folder
from dbt_project.messages import Failure
from dbt_project.window import JOBS, Window

DAYS = 45  # that the demo's run computes
DAY = timedelta(days=1)
WEEKDAYS = (1.3, 1.1, 1.05, 1.0, 0.85, 0.65, 0.75)  # Monday first: good resolutions, then rest
ASIDES = ("profile_viewed", "history_viewed", "settings_opened", "push_received", "plan_browsed")
LOADED, STARTED = "workouts_default_loaded", "workout_started"
# name: (weight, how often its users come back, days until half of them have an update)
PLATFORMS = {"ios": (55, 1.2, 2), "android": (40, 0.85, 6), "web": (5, 0.4, 0)}
# name: (weight, how often its users come back). Of some users nobody knows where they came from.
SOURCES = {"organic": (45, 1.15), "ads": (30, 0.6), "friend": (20, 1.4), None: (5, 1.0)}
RELEASES = (("2.5.0", -12), ("2.4.1", -30))  # the newest first, with its day from the anchor
RECEIVED_AT = source.EVENT_COLUMNS.index("received_at")
ASSIGNED_AT = 4

# id: (start, end) in days from the anchor, platforms, variants (id, name, weight; the first is
# the control). Only "guided" changes what users do: it wins, and exp_rest_timer stays open.
# exp_streak_badge ended recently enough for its last cohorts to be in a window of 14 days, and
# exp_weekly_goal is too young for a verdict. The constants below break the two others.
EXPERIMENTS = {
    "exp_first_workout": ((-60, None), ("ios", "android", "web"),
                          [("A", "list", 0.5), ("B", "guided", 0.5)]),
    "exp_home_feed": ((-25, None), ("ios", "android"),
                      [("A", "latest", 0.5), ("B", "friends", 0.5)]),
    "exp_push_time": ((-35, None), ("ios", "android"),
                      [("A", "morning", 0.5), ("B", "evening", 0.5)]),
    "exp_rest_timer": ((-30, None), ("ios", "android"),
                       [("A", "off", 0.34), ("B", "fixed", 0.33), ("C", "adaptive", 0.33)]),
    "exp_streak_badge": ((-60, -10), ("ios", "android"),
                         [("A", "hidden", 0.5), ("B", "shown", 0.5)]),
    "exp_weekly_goal": ((-3, None), ("ios", "android", "web"),
                        [("A", "off", 0.5), ("B", "on", 0.5)]),
}  # fmt: skip
LOPSIDED = {"exp_push_time": (0.57, 0.43)}  # the shares that are drawn in place of the weights
SWITCHED = "exp_home_feed"  # now and then, a session is sent with its other variant


def session_events(rng: Random, lift: float) -> list[str]:
    """Return the event names of a session; `lift` is the share of drop-outs that continue."""

    def continues(chance: float) -> bool:
        return rng.random() < chance + (1 - chance) * lift

    names = ["app_opened" if rng.random() < 0.7 else "tab_opened"]
    if rng.random() < 0.4:
        names.append(rng.choice(ASIDES))
    if continues(0.72):
        names += rng.choice(([LOADED], [STARTED], [LOADED, STARTED]))
        if continues(0.70):
            names += ["exercise_logged"] * rng.randint(1, 6)
            if continues(0.72):
                names += ["session_submitted", "achievement_unlocked"][: 1 + continues(0.3)]
    return names


def session_starts(
    rng: Random, anchor: datetime, signup: int, loyalty: float
) -> Iterator[datetime]:
    """Yield the start times of a user's sessions, from day `signup` (<= 0) to the anchor's."""
    activity = rng.uniform(0.5, 1.5) * loyalty
    for age in range(1 - signup):
        midnight = anchor + (signup + age) * DAY
        chance = activity * WEEKDAYS[midnight.weekday()] * 0.62 * (1 + age) ** -0.33
        if age == 0 or rng.random() < chance:
            peaks = rng.choices(((7.2, 1.3), (18.0, 2.2)), (4, 6), k=1 + (rng.random() < 0.25))
            for hour in sorted(rng.gauss(*peak) for peak in peaks):
                yield midnight + timedelta(seconds=int(min(max(hour, 0.0), 23.5) * 3600))


def assign(rng: Random, age: float, platform: str, assigned: dict[str, str]) -> list[str]:
    """Update a user's {experiment: variant} of day `age`; return the new experiments."""
    fresh = []
    for test, ((start, end), platforms, variants) in EXPERIMENTS.items():
        if age < start or (end is not None and age >= end):
            assigned.pop(test, None)
        # Some users are assigned only in a later session.
        elif test not in assigned and platform in platforms and rng.random() < 0.93:
            shares = LOPSIDED.get(test) or [weight for *_, weight in variants]
            assigned[test] = rng.choices(variants, shares)[0][0]
            fresh.append(test)
    return fresh


def event(user, session, nth, platform, version, origin, name, occurred, received, frozen) -> tuple:
    """Build one row in the order of EVENT_COLUMNS; `frozen` is the experiment map or None."""
    known = json.dumps(frozen or {})
    facts = {"sets": 3} if name == "exercise_logged" else {}
    properties = json.dumps(facts | ({"source": origin} if origin else {}))
    return (
        *(f"evt_{session}-{nth}", f"client_{session}-{nth}", user, session, f"install_{user}"),
        *(platform, version, name, occurred, received, received, properties, "{}"),
        *(len(frozen or {}), known, known if frozen else None, 1),
    )


def simulate(rng: Random, anchor: datetime, users: int, days: int) -> tuple[list, list]:
    """Return event rows and assignment rows of `days` days, the last of which is the anchor's."""
    events, assignments = [], []
    period = range(1 - days, 1)
    growth = [(days + day / 2) * WEEKDAYS[(anchor + day * DAY).weekday()] for day in period]
    for number, signup in enumerate(rng.choices(period, growth, k=users), start=1):
        user = f"user_{number:05d}"
        assigned: dict[str, str] = {}
        platform = rng.choices(list(PLATFORMS), [weight for weight, *_ in PLATFORMS.values()])[0]
        chance = Random(number)  # its draws leave those of `rng` as they are
        origin = chance.choices(list(SOURCES), [weight for weight, _ in SOURCES.values()])[0]
        _, loyalty, half_life = PLATFORMS[platform]
        delay = half_life * chance.expovariate(1) / 0.69  # until this user installs an update
        loyalty *= SOURCES[origin][1]
        for visit, clock in enumerate(session_starts(rng, anchor, signup, loyalty), start=1):
            age = (clock - anchor) / DAY
            for test in assign(rng, age, platform, assigned):
                row = (f"{user}-{test}", user, test, assigned[test], clock, 1, "{}")
                assignments.append(row)
            frozen = None if rng.random() < 0.03 else assigned  # some clients send no map
            if frozen and SWITCHED in frozen and rng.random() < 0.01:
                frozen = {**frozen, SWITCHED: "B" if frozen[SWITCHED] == "A" else "A"}
            out = (name for name, day in RELEASES if age >= day + (delay if day > signup else 0))
            version = next(out, "2.3.0")
            offline = rng.expovariate(1 / 4) * 3600 if rng.random() < 0.03 else 0.0
            lift = 0.3 if assigned.get("exp_first_workout") == "B" else 0.0
            for nth, name in enumerate(session_events(rng, lift), start=1):
                seconds = offline + rng.lognormvariate(1.2, 0.8)
                received = clock + timedelta(milliseconds=int(seconds * 1000))
                place = (user, f"{user}-{visit}", nth, platform, version, origin)
                events.append(event(*place, name, clock, received, frozen))
                pause = rng.expovariate(1 / 120 if name == "exercise_logged" else 1 / 12)
                clock += timedelta(milliseconds=1 + int(pause * 1000))
    return events, assignments


def strays(rng: Random, now: datetime) -> Iterator[tuple]:
    """Yield events of wrong device clocks: under 5 minutes ahead, far ahead, far behind."""
    ranges = {"soon": (20, 280), "ahead": (3_600, 4_000_000), "past": (-4e7, -1.6e7)}
    for kind, seconds in ranges.items():
        for number in range(1, 9):
            user = f"clock_{kind}_{number}"
            occurred = now + timedelta(seconds=int(rng.uniform(*seconds)))
            received = now - timedelta(seconds=rng.randint(1, 60 if kind == "soon" else 90_000))
            place = (user, f"{user}-1", 1, "android", "2.3.0", None)
            yield event(*place, "app_opened", occurred, received, None)


def experiment_rows(anchor: datetime) -> tuple[list[tuple], list[tuple]]:
    """Return the rows of `experiments` and `experiment_variants`, all columns in DDL order."""
    tests, arms = [], []
    for test, ((start, end), platforms, variants) in EXPERIMENTS.items():
        begin, finish = anchor + start * DAY, None if end is None else anchor + end * DAY
        status = "ENDED" if finish else "RUNNING"
        targeting = json.dumps({"platform": platforms, "min_version": "2.0.0"})
        tests.append((test, status, begin, finish, targeting, 1, begin, finish or begin))
        for nth, (variant, name, weight) in enumerate(variants):
            arms.append((f"{test}-{variant}", test, variant, name, nth == 0, weight, "{}", begin))
    return tests, arms


def run(conninfo: str) -> tuple[str, bool]:
    """Fill the database unless the demo is there, and run all jobs.

    Returns what to print, and whether all jobs succeeded.
    """
    window = Window(datetime.now(UTC), DAYS)
    with closing(connect(conninfo)) as conn, report.counted("Making events") as advance:
        known = found(conn, source_schema())
        if not known:
            fill(conn, source_schema(), window.as_of, progress=advance)
    signals.defer()
    runs = runner.run_jobs(conninfo, window, JOBS)
    with closing(connect(conninfo)) as conn:
        latest = report.latest_days(conn, analytics_schema())
    parts = (latest, report.summary_text(window, runs), known)
    return "\n\n".join(filter(None, parts)), all(run.ok for run in runs)


def found(conn: psycopg.Connection, schema: str) -> str:
    """Return a sentence if `event_logs` holds the demo's events and no others, else ""."""
    if "event_logs" not in source.existing_source_tables(conn, schema):
        return ""
    query = """
        select count(*), min(received_at), max(received_at) from {0}
        where not exists (select from {0} where cast(id as text) !~ '^evt_(user|clock)_')
    """
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        events = sql.SQL(query).format(sql.Identifier(schema, "event_logs"))
        count, first, last = only_row(cursor, events)
    again = f"delete {folder()}" if is_embedded(conn) else "name an empty database"
    if not count:
        return ""
    return (
        f"The made-up app was there already, with {count:,} events received from {first:%Y-%m-%d}"
        f" to {last:%Y-%m-%d}. To begin again, stop `serve`, {again} and repeat."
    )


def fill(
    conn: psycopg.Connection,
    schema: str,
    now: datetime,
    *,
    users: int = 3000,
    days: int = 45,
    seed: int = 11,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Create the source tables in `schema`, fill them, and return the number of events.

    The `days` UTC days end with the day of `now` (an aware time); what is received after `now`
    is left out. All else depends on `users`, `days`, `seed` and that day alone.
    `progress(done, total)` counts events. Works in one transaction, the caller's if one is open.
    Raises Failure, before it writes anything, when any source table exists.
    """
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    now = now.astimezone(UTC).replace(microsecond=0)
    anchor = now.replace(hour=0, minute=0, second=0)
    with conn.transaction():
        if existing := source.existing_source_tables(conn, schema):
            raise Failure(
                f"the source tables exist already in {database_name(conn)}: {', '.join(existing)}."
                " The demo needs an empty database: name one in DATABASE_URL, or leave that out"
                " and set ROLLUP_HOME to a new folder."
            )
        source.create_source_tables(conn, schema)
        events, assignments = simulate(Random(seed), anchor, users, days)
        events = [row for row in events if row[RECEIVED_AT] <= now]
        # These depend on `now`, so a generator of their own keeps all else the same.
        events += strays(Random(seed + 1), now)
        events.sort(key=itemgetter(RECEIVED_AT))
        assignments = [row for row in assignments if row[ASSIGNED_AT] <= now]

        def tick(done: int) -> None:
            if progress:
                progress(done, len(events))

        loads = zip(source.TABLES, (events, assignments, *experiment_rows(anchor)), strict=True)
        for table, rows in loads:
            name = sql.Identifier(schema, table)
            source.copy_rows(conn, name, rows, tick if table == "event_logs" else None)
            conn.execute(sql.SQL("analyze {}").format(name))
    return len(events)
