"""Users of a made-up app: their sessions, events and experiments, from what its file says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

DAY = timedelta(days=1)


class Step(NamedTuple):
    """What a session does next with this chance: one of `options`, up to `times` times."""

    chance: float
    options: tuple[tuple[str, ...], ...]
    times: int = 1


class Experiment(NamedTuple):
    """`start` and `end` are days from the last one; of `variants` (id, name, weight) the first is
    the control. `drawn` are the shares in place of the weights, where they are broken.
    """

    start: float
    end: float | None
    platforms: tuple[str, ...]
    variants: tuple[tuple[str, str, float], ...]
    drawn: tuple[float, ...] = ()


@dataclass(frozen=True)
class App:
    """What differs from app to app. `prefix` begins the ids of its users."""

    title: str
    prefix: str
    settings: dict[str, str]  # what its runs need in the environment
    weekdays: tuple[float, ...]  # how busy they are, Monday first
    peaks: tuple[tuple[float, float], ...]  # hours at which people come, with their deviation
    peak_weights: tuple[float, ...]
    openings: tuple[str, str]
    asides: tuple[str, ...]
    steps: tuple[Step, ...]
    slow: str  # the event that takes minutes, not seconds
    facts: dict[str, dict]  # properties by event
    # name: (weight, how often its users come back, days until half of them have an update)
    platforms: dict[str, tuple[float, float, float]]
    # name: (weight, how often its users come back). Of some users nobody knows it.
    sources: dict[str | None, tuple[float, float]]
    releases: tuple[tuple[str, float], ...]  # the newest first, with its day from the last one
    oldest: str
    experiments: dict[str, Experiment]
    winner: str  # its variant B makes this share of those who would leave go on
    lift: float
    switched: str = ""  # now and then, a session is sent with its other variant
    joins: tuple[str, float] | None = None  # an event of some users' first session


def session_events(app: App, rng: Random, lift: float, is_first: bool) -> list[str]:
    """Return the event names of a session; `lift` is the share of drop-outs that continue."""

    def continues(chance: float) -> bool:
        return rng.random() < chance + (1 - chance) * lift

    names = [app.openings[0] if rng.random() < 0.7 else app.openings[1]]
    if app.joins and is_first and rng.random() < app.joins[1]:
        names.append(app.joins[0])
    if rng.random() < 0.4:
        names.append(rng.choice(app.asides))
    for chance, options, times in app.steps:
        if not continues(chance):
            break
        step = rng.choice(options) if len(options) > 1 else options[0]
        names += step * (rng.randint(1, times) if times > 1 else 1)
    return names


def session_starts(
    app: App, rng: Random, anchor: datetime, signup: int, loyalty: float
) -> Iterator[datetime]:
    """Yield the start times of a user's sessions, from day `signup` (<= 0) to the anchor's."""
    activity = rng.uniform(0.5, 1.5) * loyalty
    for age in range(1 - signup):
        midnight = anchor + (signup + age) * DAY
        chance = activity * app.weekdays[midnight.weekday()] * 0.62 * (1 + age) ** -0.33
        if age == 0 or rng.random() < chance:
            peaks = rng.choices(app.peaks, app.peak_weights, k=1 + (rng.random() < 0.25))
            for hour in sorted(rng.gauss(*peak) for peak in peaks):
                yield midnight + timedelta(seconds=int(min(max(hour, 0.0), 23.5) * 3600))


def assign(app: App, rng: Random, age: float, platform: str, assigned: dict[str, str]) -> list[str]:
    """Update a user's {experiment: variant} of day `age`; return the new experiments."""
    fresh = []
    for name, test in app.experiments.items():
        if age < test.start or (test.end is not None and age >= test.end):
            assigned.pop(name, None)
        # Some users are assigned only in a later session.
        elif name not in assigned and platform in test.platforms and rng.random() < 0.93:
            shares = test.drawn or [weight for *_, weight in test.variants]
            assigned[name] = rng.choices(test.variants, shares)[0][0]
            fresh.append(name)
    return fresh


def event(
    app, user, session, nth, platform, version, origin, name, occurred, received, frozen
) -> tuple:
    """Build one row in the order of EVENT_COLUMNS; `frozen` is the experiment map or None."""
    known = json.dumps(frozen or {})
    properties = json.dumps(app.facts.get(name, {}) | ({"source": origin} if origin else {}))
    return (
        *(f"evt_{session}-{nth}", f"client_{session}-{nth}", user, session, f"install_{user}"),
        *(platform, version, name, occurred, received, received, properties, "{}"),
        *(len(frozen or {}), known, known if frozen else None, 1),
    )


def simulate(app: App, rng: Random, anchor: datetime, users: int, days: int) -> tuple[list, list]:
    """Return event rows and assignment rows of `days` days, the last of which is the anchor's."""
    events, assignments = [], []
    period = range(1 - days, 1)
    growth = [(days + day / 2) * app.weekdays[(anchor + day * DAY).weekday()] for day in period]
    for number, signup in enumerate(rng.choices(period, growth, k=users), start=1):
        user = f"{app.prefix}{number:05d}"
        assigned: dict[str, str] = {}
        platform = rng.choices(
            list(app.platforms), [weight for weight, *_ in app.platforms.values()]
        )[0]
        chance = Random(number)  # its draws leave those of `rng` as they are
        origin = chance.choices(list(app.sources), [weight for weight, _ in app.sources.values()])[
            0
        ]
        _, loyalty, half_life = app.platforms[platform]
        delay = half_life * chance.expovariate(1) / 0.69  # until this user installs an update
        loyalty *= app.sources[origin][1]
        for visit, clock in enumerate(session_starts(app, rng, anchor, signup, loyalty), start=1):
            age = (clock - anchor) / DAY
            for test in assign(app, rng, age, platform, assigned):
                row = (f"{user}-{test}", user, test, assigned[test], clock, 1, "{}")
                assignments.append(row)
            frozen = None if rng.random() < 0.03 else assigned  # some clients send no map
            if frozen and app.switched in frozen and rng.random() < 0.01:
                frozen = {**frozen, app.switched: "B" if frozen[app.switched] == "A" else "A"}
            out = (
                name for name, day in app.releases if age >= day + (delay if day > signup else 0)
            )
            version = next(out, app.oldest)
            offline = rng.expovariate(1 / 4) * 3600 if rng.random() < 0.03 else 0.0
            lift = app.lift if assigned.get(app.winner) == "B" else 0.0
            for nth, name in enumerate(session_events(app, rng, lift, visit == 1), start=1):
                seconds = offline + rng.lognormvariate(1.2, 0.8)
                received = clock + timedelta(milliseconds=int(seconds * 1000))
                place = (app, user, f"{user}-{visit}", nth, platform, version, origin)
                events.append(event(*place, name, clock, received, frozen))
                pause = rng.expovariate(1 / 120 if name == app.slow else 1 / 12)
                clock += timedelta(milliseconds=1 + int(pause * 1000))
    return events, assignments


def strays(app: App, rng: Random, now: datetime) -> Iterator[tuple]:
    """Yield events of wrong device clocks: under 5 minutes ahead, far ahead, far behind."""
    ranges = {"soon": (20, 280), "ahead": (3_600, 4_000_000), "past": (-4e7, -1.6e7)}
    for kind, seconds in ranges.items():
        for number in range(1, 9):
            user = f"{clock(app)}{kind}_{number}"
            occurred = now + timedelta(seconds=int(rng.uniform(*seconds)))
            received = now - timedelta(seconds=rng.randint(1, 60 if kind == "soon" else 90_000))
            place = (app, user, f"{user}-1", 1, list(app.platforms)[1], app.oldest, None)
            yield event(*place, app.openings[0], occurred, received, None)


def experiment_rows(app: App, anchor: datetime) -> tuple[list[tuple], list[tuple]]:
    """Return the rows of `experiments` and `experiment_variants`, all columns in DDL order."""
    tests, arms = [], []
    for test, (start, end, platforms, variants, _) in app.experiments.items():
        begin, finish = anchor + start * DAY, None if end is None else anchor + end * DAY
        status = "ENDED" if finish else "RUNNING"
        targeting = json.dumps({"platform": platforms, "min_version": "2.0.0"})
        tests.append((test, status, begin, finish, targeting, 1, begin, finish or begin))
        for nth, (variant, name, weight) in enumerate(variants):
            arms.append((f"{test}-{variant}", test, variant, name, nth == 0, weight, "{}", begin))
    return tests, arms


def clock(app: App) -> str:
    """Return how the ids of users with a wrong clock begin."""
    return "clock_" if app.prefix == "user_" else f"{app.prefix}clock_"
