"""The SQL against the oracle, row by row: on awkward data, and after any series of runs."""

import os
from datetime import datetime, timedelta
from random import Random

import oracle
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from tables import Rollups, differences, event, expected, stored

from dbt_project.source import TABLES

NOON = datetime(2026, 11, 20, 12)
DAY, HOUR, MS = timedelta(days=1), timedelta(hours=1), timedelta(milliseconds=1)
# fmt: off
EDGES = (0 * DAY, MS, HOUR, DAY, DAY + MS, 2 * DAY, 7 * DAY - MS, 7 * DAY, 7 * DAY + MS)
NAMES = ("app_opened", "tab_opened", "workout_started", "exercise_logged", "session_submitted",
         "session_submitted", "achievement_unlocked", "unheard_of", "__proto__", "n" * 300)
MAPS = (None, {}, {"run": "A"}, {"run": "B"}, {"run": "B", "late": "A:1"}, {"late": "A:1"},
        {"run": None, "over": 1.5, "gone": True}, ["A"])
# fmt: on
MIDNIGHT, NIGHT = datetime(2026, 11, 24), datetime(2026, 11, 23, 23, 58)
ODD = datetime(2026, 11, 23, 15, 30, 0, 123_456)


def awkward(source, now):
    """Users whose events lie on the edges of days, horizons and validity, as seen at `now`."""
    rng = Random(7)
    midnight = datetime(now.year, now.month, now.day)
    soon, expired = now + timedelta(minutes=5), now - 180 * DAY
    starts = [midnight - n * DAY + edge for n in (0, 1, 7, 8, 13, 14, 90, 179)
              for edge in (-MS, 0 * MS, 9 * HOUR)]  # fmt: skip
    starts += [soon, soon + MS, now, now + MS, expired, expired + MS, expired + DAY]
    events = []
    for nth, start in enumerate(starts):
        user = f"user {nth}"
        if nth % 5 == 0:  # a returning user, of whom only the last visit is still valid
            events.append(event(expired - rng.choice((MS, DAY)), user=user, received=now))
        for edge in (0 * DAY, *rng.sample(EDGES, 4)):
            for name in rng.sample(NAMES, rng.choice((1, 1, 2))):  # two are a tie
                late = timedelta(milliseconds=rng.randrange(-5_000, 60_000))
                moment, mapping = start + edge, rng.choice(MAPS)
                events.append(event(moment, name, user, received=moment + late, mapping=mapping))
        for experiment, variants in (("run", "AB"), ("late", ("A:1",)), ("over", "AB")):
            if rng.random() < 0.7:
                assigned_at = rng.choice((start, start - DAY, midnight, midnight - MS, now + DAY))
                source.assign(user, experiment, rng.choice(variants), assigned_at)
    for edge in EDGES:  # users who come back once
        user, start = f"user {edge}", midnight - 8 * DAY + 9 * HOUR
        events += [event(start, user=user), event(start + edge, "session_submitted", user)]
        source.assign(user, "run", "A", start)
    empty_day = midnight.date() - 5 * DAY
    source.events(*(row for row in events if row["occurred_at"].date() != empty_day))
    source.experiment("run", ("A", "B", "nobody"))
    source.experiment("late", ("A:1",), status="PAUSED", end_at=midnight)
    source.experiment("over", status="ENDED", end_at=midnight - 13 * DAY)
    source.experiment("gone", status="ENDED", end_at=midnight - 13 * DAY - MS)
    source.experiment("draft", status="DRAFT", end_at=midnight)


@pytest.mark.parametrize(
    ("now", "window_days"),
    [(NOON, 180), (MIDNIGHT, 14), (NIGHT, 1), (NIGHT, 14), (ODD, 14)],
)
def test_every_row_is_the_oracles(source, run, now, window_days):
    awkward(source, now)
    outcome = run("--window-days", window_days, as_of=now)
    assert outcome.exit_code == 0, outcome.stdout
    rows, found = source.rows(), stored(source.conn)
    wanted = expected(rows, now, window_days)
    assert differences(found, wanted) == []
    assert outcome.of_jobs("rows_written") == {j: len(t) for j, t in wanted._asdict().items()}
    ignored = oracle.ignored(rows, now, window_days)
    assert ignored > 0 and set(outcome.of_jobs("ignored_count").values()) == {ignored}


# What may happen between two runs. Moments lie on a coarse grid, or a millisecond beside it, so
# that they often meet: each other, midnights, horizons, and the edges of what is valid.
START = datetime(2026, 11, 20)
MOMENTS = st.builds(
    lambda half_days, nudge: START + half_days * 12 * HOUR + nudge * MS,
    st.one_of(st.integers(-18, 10), st.sampled_from((-360, -359, -358))),
    st.sampled_from((0, 0, 1, -1)),
)
USERS, IDS = st.sampled_from("uvw"), st.sampled_from("xy")
CHANGES = st.one_of(
    st.tuples(
        st.just("event"), MOMENTS, st.sampled_from(("app_opened", "session_submitted", "other")),
        USERS, st.sampled_from((None, {"x": "A"}, {"x": "B", "y": "A"})),
    ),
    st.tuples(st.just("delete events of"), USERS, MOMENTS),
    st.tuples(st.just("purge before"), MOMENTS),
    st.tuples(st.just("assign"), USERS, IDS, st.sampled_from("AB"), MOMENTS),
    st.tuples(st.just("experiment"), IDS, st.sampled_from(("RUNNING", "ENDED", "DRAFT")), MOMENTS),
)  # fmt: skip
RUNS = st.tuples(
    st.lists(CHANGES, min_size=1, max_size=8),
    st.sampled_from((0 * MS, MS, HOUR, 24 * HOUR - MS, DAY, 3 * DAY)),
    st.sampled_from((1, 2, 7, 14)),
)


def change(source, kind, *values):
    if kind == "event":
        at, name, user, mapping = values
        source.event(at, name, user, mapping=mapping)
    elif kind == "delete events of":
        source.do("delete from event_logs where anonymous_user_id = %s and occurred_at > %s",
                  *values)  # fmt: skip
    elif kind == "purge before":
        source.do("delete from event_logs where occurred_at < %s", *values)
    elif kind == "assign":
        source.do("delete from assignments where anonymous_user_id = %s and experiment_id = %s",
                  *values[:2])  # fmt: skip
        source.assign(*values)
    else:
        name, status, end_at = values
        source.do("update experiments set status = %s, end_at = %s where experiment_id = %s",
                  status, end_at, name)  # fmt: skip


@settings(
    max_examples=5,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    print_blob=True,
    phases=[Phase.generate],  # a series is short enough to read; to shrink it takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(first=st.sampled_from((NOON, START)), plays=st.lists(RUNS, min_size=2, max_size=3))
def test_any_series_of_runs_ends_where_the_model_does(source, run, first, plays):
    source.do("drop schema if exists analytics, played cascade")
    source.do(f"truncate {', '.join(TABLES)}")
    source.experiment("x")
    source.experiment("y", ("A",))
    now, model = first, Rollups({}, {}, {})
    for changes, pause, window_days in plays:
        for one in changes:
            change(source, *one)
        now += pause
        note(f"run as of {now} over {window_days} days")
        outcome = run("--window-days", window_days, as_of=now)
        assert outcome.exit_code == 0, outcome.stdout
        rows = source.rows()
        fresh = expected(rows, now, window_days)
        pairs = zip(model, fresh, strict=True)
        model = Rollups(*(oracle.merge(*pair, rows, now, window_days) for pair in pairs))
        assert differences(stored(source.conn), model) == []

    played = stored(source.conn)
    source.do("alter schema analytics rename to played")
    assert run("--window-days", window_days, as_of=now).summary["ok"]
    rebuilt = stored(source.conn)
    assert differences(rebuilt, fresh) == []
    begins = min((e["occurred_at"] for e in oracle.valid_events(rows, now)), default=now + DAY)
    days = [day for day in oracle.window_dates(now, window_days) if day >= begins.date()]
    assert differences(only(days, played), only(days, rebuilt)) == []


def only(days, rollups):
    return Rollups(*({key: row for key, row in t.items() if key[0] in days} for t in rollups))
