"""Clocks that pass midnight, go back, or are in other time zones."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from api_answers import answers
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql
from source_shapes import with_time_zones
from tables import after_run, differences, expected, stored
from test_against_oracle import CHANGES, NOON, SERIES, awkward, play

from dbt_project import options

DAY, HOUR, MS = timedelta(days=1), timedelta(hours=1), timedelta(milliseconds=1)
CHANGING = {
    # A zone, and a day on which its clocks change.
    "New York springs": ("America/New_York", datetime(2026, 3, 8)),
    "New York falls": ("America/New_York", datetime(2026, 11, 1)),
    "Berlin springs": ("Europe/Berlin", datetime(2026, 3, 29)),
    "Berlin falls": ("Europe/Berlin", datetime(2026, 10, 25)),
    "Lord Howe falls by half an hour": ("Australia/Lord_Howe", datetime(2026, 4, 5)),
    "Lord Howe springs by half an hour": ("Australia/Lord_Howe", datetime(2026, 10, 4)),
    "Apia has no 30 December": ("Pacific/Apia", datetime(2011, 12, 30)),
    "São Paulo has no midnight": ("America/Sao_Paulo", datetime(2018, 11, 4)),
    "Troll changes by two hours": ("Antarctica/Troll", datetime(2026, 3, 29)),
    "Kwajalein has no 21 August": ("Pacific/Kwajalein", datetime(1993, 8, 21)),
    "a leap day": ("Pacific/Kiritimati", datetime(2024, 2, 29)),
    "a made-up zone": ("<+1337>-13:37", datetime(2026, 11, 1)),
}
PLACES = ("database", "role", "session", "client")


def set_zone(source, monkeypatch, place, zone):
    name = sql.Identifier(source.conn.info.dbname)
    query = {
        "database": "alter database {} set timezone to {}",
        "role": "alter role current_user in database {} set timezone to {}",
    }.get(place)
    if query:
        source.conn.execute(sql.SQL(query).format(name, sql.Literal(zone)))
    else:
        monkeypatch.setenv("PGTZ" if place == "session" else "TZ", zone)
        time.tzset()


@pytest.fixture
def clocks_of_this_process():
    yield
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.mark.chaos
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CHANGING)
def test_no_zone_changes_a_number(
    source, cli, changes_nothing, monkeypatch, clocks_of_this_process, case, place
):
    zone, day = CHANGING[case]
    now = day + 8 * DAY + timedelta(hours=2, minutes=30)
    awkward(source, now)
    set_zone(source, monkeypatch, place, zone)
    changes_nothing(lambda: with_time_zones(source), now)
    listed = cli("runs", "--json").summary
    assert listed[0]["as_of"] == f"{now.isoformat()}.000Z"


@pytest.mark.chaos
@pytest.mark.parametrize("window_days", [1, 180])
@pytest.mark.parametrize(
    "now",
    [
        datetime(2024, 2, 29),
        datetime(2024, 2, 29, 23, 59, 59, 999_000),
        datetime(2024, 3, 1),
        datetime(2024, 8, 27),  # 180 days after the leap day
        datetime(2026, 1, 1),
        datetime(1971, 1, 1, 0, 4),
        datetime(2025, 12, 31, 23, 58),
    ],
)
def test_the_shortest_and_the_longest_window(source, run, now, window_days):
    awkward(source, now)
    assert run("--window-days", window_days, as_of=now).exit_code == 0
    wanted = expected(source.rows(), now, window_days)
    assert differences(stored(source.conn), wanted) == []
    assert len({key[0] for key in wanted.daily}) == window_days


class Clock(datetime):
    """A clock that returns the given times in turn, and then the last one forever."""

    times: tuple[datetime, ...] = ()

    @classmethod
    def now(cls, tz=None):
        told, *rest = cls.times
        cls.times = tuple(rest) or (told,)
        return told


def test_a_run_across_midnight_belongs_to_its_first_day(source, cli, database_url, monkeypatch):
    midnight = datetime(2026, 11, 24)
    before, after = midnight - MS, midnight + MS
    awkward(source, before)
    monkeypatch.setattr(options, "datetime", Clock)
    Clock.times = (before.replace(tzinfo=UTC), after.replace(tzinfo=UTC))

    outcome = cli("--json")
    assert outcome.exit_code == 0
    assert Clock.times == (after.replace(tzinfo=UTC),)
    assert outcome.summary["window_end"] == "2026-11-24T00:00:00.000Z"
    rows = source.rows()
    yesterday = expected(rows, before, 14)
    assert differences(stored(source.conn), yesterday) == []
    # Until the next run the API serves the days that exist.
    assert '"day":"2026-11-23"' in answers(database_url, after)["daily.json"]

    assert cli("--json").summary["window_end"] == "2026-11-25T00:00:00.000Z"
    today = expected(rows, after, 14)
    both = after_run(yesterday, rows, after, 14, {})
    assert differences(stored(source.conn), both) == []
    dau = (datetime(2026, 11, 23).date(), "dau", "overall")
    assert (yesterday.daily[dau][2], today.daily[dau][2]) == (False, True)


@pytest.mark.chaos
@settings(SERIES, max_examples=12)
@given(
    plays=st.lists(
        st.tuples(
            st.lists(CHANGES, max_size=6),
            st.sampled_from(
                (MS, 12 * HOUR, DAY, -MS, -HOUR, -12 * HOUR, -DAY, -3 * DAY, -20 * DAY)
            ),
            st.sampled_from((1, 2, 14, 30)),
        ),
        min_size=3,
        max_size=4,
    )
)
def test_a_clock_that_goes_back_loses_nothing(source, run, plays):
    play(source, run, NOON, plays)
