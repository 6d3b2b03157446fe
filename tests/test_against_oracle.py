"""The SQL against the oracle, row by row: on awkward data, and after any series of runs."""

import math
import os
from datetime import UTC, datetime

import oracle
import pytest
from edges import DAY, HOUR, MIDNIGHT, MS, NIGHT, NOON, ODD, awkward
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from tables import JOB_OF, NOTHING, after_run, differences, expected, of_keys, stored

from dbt_project.source import TABLES


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
    counts = {job: len(getattr(found, job)) for job in set(JOB_OF.values())}
    assert outcome.of_jobs("rows_written") == counts
    ignored = oracle.ignored(rows, now, window_days)
    assert ignored > 0 and set(outcome.of_jobs("ignored_count").values()) == {ignored}


@pytest.mark.parametrize(
    ("zone", "now"),
    [
        ("Europe/Berlin", datetime(2026, 3, 30, 9)),  # after a day of 23 hours
        ("Europe/Berlin", datetime(2026, 10, 25, 22, 30)),  # in an hour that UTC days lack
        ("America/Havana", datetime(2025, 11, 3, 4, 30)),  # set back from 01:00 to midnight
        ("Africa/Cairo", datetime(2026, 4, 25)),  # without a midnight
        ("Australia/Lord_Howe", datetime(2026, 4, 6, 12)),  # by half an hour
        ("Pacific/Apia", datetime(2012, 1, 2)),  # without a 30 December
        ("America/St_Johns", datetime(2010, 11, 7, 2, 30, 30)),  # in a day that returns
        ("Asia/Pyongyang", datetime(2018, 5, 6)),  # a new offset
    ],
)
def test_every_row_is_the_oracles_in_any_zone(source, run, monkeypatch, zone, now):
    monkeypatch.setenv("ROLLUP_TIMEZONE", zone)
    monkeypatch.setenv("KEY_EVENT", "workout_started, o'clock,exercise_logged")
    awkward(source, now)
    outcome = run("--window-days", 14, as_of=now)
    assert outcome.exit_code == 0, outcome.stdout
    assert differences(stored(source.conn), expected(source.rows(), now, 14)) == []


def test_from_and_to_recompute_these_days_as_of_now(source, cli):
    awkward(source, datetime.now(UTC).replace(tzinfo=None))
    today = datetime.now(UTC).date()
    for first, last in ((9, 8), (14, 0), (179, 178)):
        days = [today - n * DAY for n in range(first, last - 1, -1)]
        source.do("drop schema if exists analytics cascade")
        to = ("--to", days[-1]) if last else ()
        outcome = cli("--json", "--from", days[0], *to)
        assert outcome.exit_code == 0, outcome.stdout
        now = datetime.fromisoformat(outcome.summary["as_of"]).replace(tzinfo=None)
        wanted = expected(source.rows(), now, first + 1, days=days)
        assert differences(stored(source.conn), wanted) == []


# What may happen between two runs. Moments lie on a coarse grid, or a millisecond beside it, so
# that they often meet: each other, midnights, horizons, and the edges of what is valid.
START = datetime(2026, 11, 20)
MOMENTS = st.builds(
    lambda half_days, nudge: START + half_days * 12 * HOUR + nudge * MS,
    st.one_of(st.integers(-18, 10), st.sampled_from((-360, -359, -358, -180, -168, -60))),
    st.sampled_from((0, 0, 1, -1)),
)
USERS, IDS = st.sampled_from("uvw"), st.sampled_from("xy")
CHANGES = st.one_of(
    st.tuples(
        st.just("event"), MOMENTS,
        st.sampled_from(("app_opened", "workout_started", "session_submitted", "other")),
        USERS, st.sampled_from((None, {"x": "A"}, {"x": "B", "y": "A"})),
        st.sampled_from(("", "ios", "web")), st.sampled_from((None, "1.0", "a:b")),
    ),
    st.tuples(st.just("delete events of"), USERS, MOMENTS),
    st.tuples(st.just("purge before"), MOMENTS),
    st.tuples(st.just("assign"), USERS, IDS, st.sampled_from("AB"), MOMENTS),
    st.tuples(
        st.just("experiment"), IDS, st.sampled_from(("RUNNING", "PAUSED", "ENDED", "DRAFT")),
        st.one_of(st.none(), MOMENTS), st.one_of(st.none(), MOMENTS),
    ),
    st.tuples(
        st.just("split"), IDS, st.sampled_from("AB"), st.booleans(),
        st.sampled_from((0.0, 0.2, 0.5, 3.0, -1.0, math.inf, math.nan)),
    ),
)  # fmt: skip
RUNS = st.tuples(
    st.lists(CHANGES, min_size=1, max_size=8),
    st.sampled_from((0 * MS, MS, HOUR, 24 * HOUR - MS, DAY, 3 * DAY, -HOUR, -2 * DAY)),
    st.sampled_from((1, 2, 7, 14, 90)),
)


SERIES = settings(
    max_examples=3,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    print_blob=True,
    phases=[Phase.generate],  # a series is short enough to read, and shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)


def change(source, kind, *values):
    if kind == "event":
        at, name, user, mapping, platform, version = values
        source.event(at, name, user, mapping=mapping, platform=platform, version=version)
    elif kind == "delete events of":
        source.do("delete from event_logs where anonymous_user_id = %s and occurred_at > %s",
                  *values)  # fmt: skip
    elif kind == "purge before":
        source.do("delete from event_logs where occurred_at < %s", *values)
    elif kind == "assign":
        source.do("delete from assignments where anonymous_user_id = %s and experiment_id = %s",
                  *values[:2])  # fmt: skip
        source.assign(*values)
    elif kind == "experiment":
        name, *row = values
        source.do("update experiments set status = %s, start_at = %s, end_at = %s"
                  " where experiment_id = %s", *row, name)  # fmt: skip
    else:
        name, variant, *row = values
        source.do("update experiment_variants set is_control = %s, weight = %s"
                  " where experiment_id = %s and variant_id = %s", *row, name, variant)  # fmt: skip


@SERIES
@given(first=st.sampled_from((NOON, START)), plays=st.lists(RUNS, min_size=2, max_size=3))
def test_any_series_of_runs_ends_where_the_model_does(source, run, first, plays):
    play(source, run, first, plays)


def play(source, run, now, plays):
    """Change the source and run, by turns; compare with a model, and at the end with a rebuild."""
    source.do("drop schema if exists analytics, played cascade")
    source.do(f"truncate {', '.join(TABLES)}")
    source.experiment("x")
    source.experiment("y", ("A",))
    model, logs = NOTHING, {}
    for changes, pause, window_days in plays:
        for one in changes:
            change(source, *one)
        now += pause
        note(f"run as of {now} over {window_days} days")
        outcome = run("--window-days", window_days, as_of=now)
        assert outcome.exit_code == 0, outcome.stdout
        rows = source.rows()
        model = after_run(model, rows, now, window_days, logs)
        assert differences(stored(source.conn), model) == []

    played = stored(source.conn)
    source.do("alter schema analytics rename to played")
    assert run("--window-days", window_days, as_of=now).summary["ok"]
    rebuilt = stored(source.conn)
    assert differences(rebuilt, expected(rows, now, window_days)) == []
    if all(log.kept_since is None and log.newest == now for log in logs.values()):
        begins = min((e["occurred_at"] for e in oracle.valid_events(rows, now)), default=now + DAY)
        days = oracle.window_dates(now, window_days)

        def is_computed(table, key):
            origin, first, last = oracle.days_of(table, key)
            return origin >= begins.date() and first <= days[-1] and last >= days[0]

        assert differences(*(of_keys(rollups, is_computed) for rollups in (played, rebuilt))) == []
