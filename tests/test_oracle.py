"""The oracle itself against cases small enough to work out by hand.

The clock stands at 15:30 on Monday 23 November 2026 unless a test says otherwise.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from oracle import Log, Source, daily, experiment, funnel, ignored, merge, window

NOW = datetime(2026, 11, 23, 15, 30)
TODAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 20, 12)  # when most users below are first seen
DAY, MS = timedelta(days=1), timedelta(milliseconds=1)
STEPS = [("core", "open", "app_opened"), ("core", "open", "tab_opened"), ("core", "done", "done")]


def event(at, name="app_opened", user="u", received=None, mapping=None):
    return {
        "id": f"{user} {name} {at}",
        "anonymous_user_id": user,
        "event_name": name,
        "occurred_at": at,
        "received_at": received or at,
        "experiment_map": mapping,
    }


def session(at, user="u"):
    return event(at, "session_submitted", user)


def trial(events=(), status="RUNNING", end_at=None, assigned=(("u", NOON),)):
    """Experiment x with the one variant A, to which the users of `assigned` belong."""
    x = {"experiment_id": "x", "status": status, "start_at": None, "end_at": end_at}
    a = {"experiment_id": "x", "variant_id": "A", "variant_name": "a"}
    keys = {"experiment_id": "x", "variant_id": "A"}
    rows = [keys | {"anonymous_user_id": user, "assigned_at": at} for user, at in assigned]
    return Source(list(events), rows, [x | {"targeting": None}], [a])


def on(rows, day, metric):
    """The (value, dimensions, is_final) of a day's overall row."""
    return rows[day, metric, "overall"]


def values(rows, day):
    """The four values of variant A on a day, as {metric: value}."""
    return {key[3]: row[0] for key, row in rows.items() if key[0] == day}


def test_window_ends_at_the_midnight_after_now():
    assert window(NOW, 2) == (datetime(2026, 11, 22), datetime(2026, 11, 24))
    assert window(datetime(2026, 11, 23), 1) == (datetime(2026, 11, 23), datetime(2026, 11, 24))


@pytest.mark.parametrize("window_days", [0, 181, -1])
def test_window_of_a_wrong_length_is_refused(window_days):
    with pytest.raises(ValueError, match="window_days"):
        window(NOW, window_days)


@pytest.mark.parametrize(("late", "rate", "converted"), [(0 * MS, 1.0, 1), (MS, 0.0, 0)])
def test_the_24th_hour_counts_to_its_last_moment(late, rate, converted):
    source = trial([event(NOON), session(NOON + DAY + late)])
    dimensions = {"cohort_size": 1, "converted_users": converted}
    rows = daily(source, NOW, 14)
    assert on(rows, NOON.date(), "logging_rate_24h") == (rate, dimensions, True)
    assert values(experiment(source, NOW, 14), NOON.date()) == {
        "users_assigned": 1,
        "users_active_d1": converted,
        "sessions_submitted_d7": 1,
        "logging_rate_24h_by_variant": rate,
    }


def test_the_first_moment_converts_but_is_no_return():
    source = trial([session(NOON), event(NOON)])
    row = values(experiment(source, NOW, 14), NOON.date())
    assert (row["users_active_d1"], row["logging_rate_24h_by_variant"]) == (0, 1)


def test_the_7th_day_counts_to_its_last_moment():
    first = NOON - 10 * DAY
    sessions = [session(first), session(first + 7 * DAY), session(first + 7 * DAY + MS)]
    rows = experiment(trial(sessions), NOW, 14)
    assert rows[first.date(), "x", "A", "sessions_submitted_d7"][0] == 2


@pytest.mark.parametrize(("late", "dau"), [(0 * MS, 1.0), (MS, 0.0)])
def test_an_event_may_be_five_minutes_ahead(late, dau):
    source = Source([event(NOW + timedelta(minutes=5) + late)])
    assert on(daily(source, NOW, 1), TODAY, "dau")[0] == dau
    assert ignored(source, NOW, 1) == 1 - dau


def test_valid_events_of_tomorrow_belong_to_no_day_yet():
    source = Source([event(datetime(2026, 11, 24, 0, 2))])
    rows = daily(source, datetime(2026, 11, 23, 23, 58), 1)
    assert {key[0] for key in rows} == {TODAY}
    assert on(rows, TODAY, "dau")[0] == 0


@pytest.mark.parametrize(("early", "new_users"), [(0 * MS, 0.0), (MS, 1.0)])
def test_a_user_is_new_again_once_the_history_expires(early, new_users):
    source = Source([event(NOW - 180 * DAY - early), event(NOON)])
    rows = daily(source, NOW, 14)
    assert on(rows, NOON.date(), "new_users")[0] == new_users
    assert on(rows, NOON.date(), "dau")[0] == 1


def test_midnight_belongs_to_the_day_it_begins():
    midnight = datetime(2026, 11, 23)
    rows = daily(Source([event(midnight - MS, user="a"), event(midnight, user="b")]), NOW, 2)
    assert [on(rows, day, "dau")[0] for day in (TODAY - DAY, TODAY)] == [1, 1]
    assert [on(rows, day, "new_users")[0] for day in (TODAY - DAY, TODAY)] == [1, 1]
    users = (("a", midnight - MS), ("b", midnight), ("c", midnight + DAY))
    rows = experiment(trial(assigned=users), NOW, 2)
    assigned = [rows[day, "x", "A", "users_assigned"][0] for day in (TODAY - DAY, TODAY)]
    assert assigned == [1, 2]


def test_empty_days_have_zero_rows():
    zero_of_none = {"cohort_size": 0, "converted_users": 0}
    size = {"day": "2026-11-23", "cohort_size": 0}
    assert daily(Source(), NOW, 1) == {
        (TODAY, "dau", "overall"): (0, None, False),
        (TODAY, "new_users", "overall"): (0, None, False),
        (TODAY, "sessions_submitted", "overall"): (0, None, False),
        (TODAY, "logging_rate_24h", "overall"): (0, zero_of_none, False),
        (TODAY, "ingestion_lag_p50", "overall"): (0, {"unit": "seconds"}, False),
        (TODAY, "ingestion_lag_p95", "overall"): (0, {"unit": "seconds"}, False),
    }
    assert experiment(trial(assigned=()), NOW, 1) == {
        (TODAY, "x", "A", "users_assigned"): (0, size, False),
        (TODAY, "x", "A", "users_active_d1"): (0, size, False),
        (TODAY, "x", "A", "sessions_submitted_d7"): (0, size, False),
        (TODAY, "x", "A", "logging_rate_24h_by_variant"): (0, size | zero_of_none, False),
    }
    assert funnel(Source(), NOW, 1, STEPS) == {
        (TODAY, "core", "open", "overall"): (None, None, 0, 0, False),
        (TODAY, "core", "done", "overall"): (None, None, 0, 0, False),
    }


ONE_DAY_METRICS = {"users_active_d1", "logging_rate_24h_by_variant"}


@pytest.mark.parametrize(
    ("after_the_day", "final"),
    [
        (-MS, set()),
        (0 * MS, {"users_assigned"}),
        (DAY - MS, {"users_assigned"}),
        (DAY, {"users_assigned"} | ONE_DAY_METRICS),
        (7 * DAY - MS, {"users_assigned"} | ONE_DAY_METRICS),
        (7 * DAY, {"users_assigned", "sessions_submitted_d7"} | ONE_DAY_METRICS),
    ],
)
def test_a_value_is_final_when_day_and_horizon_are_over(after_the_day, final):
    now = datetime(2026, 11, 24) + after_the_day
    rows = experiment(trial(), now, 14)
    assert {key[3] for key, row in rows.items() if key[0] == TODAY and row[2]} == final
    rows = daily(Source(), now, 14)
    assert on(rows, TODAY, "dau")[2] == (after_the_day >= 0 * MS)
    assert on(rows, TODAY, "logging_rate_24h")[2] == (after_the_day >= DAY)
    rows = funnel(Source(), now, 14, STEPS)
    assert rows[TODAY, "core", "done", "overall"][4] == (after_the_day >= 0 * MS)


def test_ignored_goes_by_either_timestamp():
    old, ahead = NOW - 200 * DAY, NOW + DAY
    events = [
        event(old, received=NOW),  # arrived in the window
        event(old, received=datetime(2026, 11, 22)),  # the window's first moment
        event(old, received=datetime(2026, 11, 24)),  # the window's end is outside
        event(old, received=old),  # has nothing to do with the window
        event(NOW + 6 * timedelta(minutes=1), received=ahead),  # happened in the window
        event(ahead, received=NOW),  # not yet, but it is here
        event(NOW, received=old),  # valid
        event(old, received=datetime.max),
        event(None, received=NOW),  # arrived in the window, happened who knows when
    ]
    assert ignored(Source(events), NOW, 2) == 5


def test_lag_percentiles_lie_between_values():
    lags = [10, -5, 20, -5]  # sorted and floored at zero: 0, 0, 10, 20
    events = [event(NOON, received=NOON + timedelta(seconds=lag)) for lag in lags]
    events.append(event(NOON, received=datetime.max))
    events.append(event(NOON) | {"received_at": None})
    rows = daily(Source(events), NOW, 14)
    assert on(rows, NOON.date(), "ingestion_lag_p50")[0] == 5
    # 0.95 x 3 = 2.85, so 85 % of the way from 10 to 20
    assert on(rows, NOON.date(), "ingestion_lag_p95")[0] == pytest.approx(18.5)


def test_event_names_count_once_each_however_long():
    long = "n" * 201
    # the digits are what `printf n%.0s {1..201} | sha256sum` prints
    key = "n" * 180 + "~291c4194382c6bd5c12b872660b0fb6d2316508d4632c9b289ed5928c2588b1b"
    names = ["overall", "n" * 200, long, long, None]
    rows = daily(Source([event(NOON, name) for name in names]), NOW, 14)
    volumes = {k[2]: row for k, row in rows.items() if k[1] == "event_volume_by_name"}
    assert {k: row[0] for k, row in volumes.items()} == {"overall": 1, "n" * 200: 1, key: 2}
    assert volumes[key][1] == {"event_name": long, "day": "2026-11-20"}


def test_an_event_without_user_is_an_event_of_nobody():
    events = [event(NOON, "done", user) for user in (None, "u", "u")]
    rows = daily(Source(events), NOW, 14)
    assert on(rows, NOON.date(), "dau")[0] == on(rows, NOON.date(), "new_users")[0] == 1
    assert rows[NOON.date(), "event_volume_by_name", "done"][0] == 3
    rows = funnel(Source(events), NOW, 14, STEPS)
    assert rows[NOON.date(), "core", "done", "overall"] == (None, None, 1, 3, True)


def test_funnel_pairs_come_from_the_events_and_never_collide():
    mapping = {"a:b": "c", "a": "b:c", "n": Decimal("1.50"), "t": True, "no": None, "l": ["A"]}
    events = [event(NOON, mapping=mapping), event(NOON, "tab_opened", "v", mapping={"a": "b:c"})]
    events += [event(NOON, mapping={"a%3Ab": "c"})]
    events += [event(NOON, mapping=odd) for odd in ([], {}, "x", 5, {"o": {"v": "A"}})]
    rows = funnel(Source(events), NOW, 14, STEPS)
    found = {k[3]: row for k, row in rows.items() if k[:3] == (NOON.date(), "core", "open")}
    assert found == {
        "overall": (None, None, 2, 8, True),
        "a%3Ab:c": ("a:b", "c", 1, 1, True),
        "a:b%3Ac": ("a", "b:c", 2, 2, True),
        "a%253Ab:c": ("a%3Ab", "c", 1, 1, True),
        "n:1.50": ("n", "1.50", 1, 1, True),
        "t:true": ("t", "true", 1, 1, True),
    }


def test_a_long_pair_is_shortened_after_escaping():
    long = "y" * 198 + "%"
    rows = funnel(Source([event(NOON, mapping={long: "A"})]), NOW, 14, STEPS)
    # the digits are what `(printf y%.0s {1..198}; printf %%25:A) | sha256sum` prints
    key = "y" * 180 + "~7bf846869befe639d10625aecc021e5a5339be4ccce4c6307e65f0cb394abb16"
    assert rows[NOON.date(), "core", "open", key] == (long, "A", 1, 1, True)


@pytest.mark.parametrize(
    ("status", "end_at", "in_scope"),
    [
        ("RUNNING", None, True),
        ("DRAFT", None, False),
        ("DRAFT", NOW, False),
        ("ENDED", datetime(2026, 11, 22), True),  # the window's first moment
        ("PAUSED", datetime(2026, 11, 22) - MS, False),
        ("PAUSED", None, False),
    ],
)
def test_experiments_stay_in_scope_until_the_window_has_left_them(status, end_at, in_scope):
    assert bool(experiment(trial(status=status, end_at=end_at), NOW, 2)) == in_scope


def test_an_assignment_to_an_unlisted_variant_counts_nowhere():
    source = trial([event(NOON, user="v")], assigned=())
    stray = {"anonymous_user_id": "v", "experiment_id": "x", "variant_id": "Z", "assigned_at": NOON}
    source.assignments.append(stray)
    rows = experiment(source, NOW, 14)
    assert {key[2] for key in rows} == {"A"}
    assert all(row[0] == 0 for row in rows.values())


def test_merge_rewrites_only_days_that_the_source_reaches():
    days = [TODAY - n * DAY for n in range(4)]  # the last one lies outside a window of 3 days
    before = {(day, "dau", "overall"): (0.0, None, True) for day in days}
    before |= {(day, "event_volume_by_name", "gone"): (0.0, {}, True) for day in days}
    source = Source([event(datetime(2026, 11, 22)), event(NOW - 200 * DAY)])
    fresh = daily(source, NOW, 3)
    after = merge("daily", before, fresh, source, NOW, 3, Log())
    for day, rewritten in zip(days, [True, True, False, False], strict=True):
        key = (day, "dau", "overall")
        assert after[key] == (fresh[key] if rewritten else before[key])
        assert ((day, "event_volume_by_name", "gone") in after) == (not rewritten)
    assert on(after, days[2], "new_users") == (0, None, True)  # was missing
    assert (days[3], "new_users", "overall") not in after


def test_merge_keeps_final_rows_of_a_purged_source_though_an_old_event_arrives():
    days = [TODAY - n * DAY for n in range(4)]
    before = {(day, "dau", "overall"): (9.0, None, day != TODAY) for day in days}
    rows, log = [event(datetime(2026, 11, 22, 9))], Log()
    for late in (datetime(2026, 11, 22, 8), datetime(2026, 11, 21), datetime(2026, 10, 1)):
        source = Source(rows)
        after = merge("daily", before, daily(source, NOW, 3), source, NOW, 3, log)
        assert [after[day, "dau", "overall"][0] for day in days] == [0, 9, 9, 9]
        assert log.kept_since == datetime(2026, 11, 22, 9)
        rows.append(event(late))
    # Never purged, as far as anybody knows.
    after = merge("daily", before, daily(source, NOW, 3), source, NOW, 3, Log())
    assert [after[day, "dau", "overall"][0] for day in days] == [0, 1, 1, 9]


def test_merge_of_an_older_run_takes_final_rows_alone():
    yesterday, today = TODAY - DAY, TODAY
    source = Source([event(NOW - DAY), event(NOW)])
    new = merge("daily", {}, daily(source, NOW + DAY, 3), source, NOW + DAY, 3, Log())
    log = Log(newest=NOW + DAY)
    source.events.append(event(NOW - DAY, user="late"))
    after = merge("daily", new, daily(source, NOW, 3), source, NOW, 3, log)
    assert on(after, yesterday, "dau") == (2, None, True)
    assert on(after, today, "dau") == on(new, today, "dau") == (1, None, True)
    assert on(after, yesterday, "logging_rate_24h") == on(new, yesterday, "logging_rate_24h")
    assert log.newest == NOW + DAY


def test_merge_with_an_empty_source_only_adds():
    before = {(TODAY, "dau", "overall"): (9.0, None, False)}
    after = merge("daily", before, daily(Source(), NOW, 1), Source(), NOW, 1, Log())
    assert on(after, TODAY, "dau")[0] == 9
    assert len(after) == 6
