"""The oracle itself against cases small enough to work out by hand.

The clock stands at 15:30 on Monday 23 November 2026 unless a test says otherwise.
"""

from datetime import date, datetime, timedelta

from oracle import DAY, WEEK, Log, Source, daily, funnel, ignored, merge, window_dates
from users_oracle import (
    Cell,
    Conversion,
    Funnel,
    active,
    conversions,
    daily_dimensions,
    json_text,
    keys,
    retention,
    value_of,
)

NOW = datetime(2026, 11, 23, 15, 30)
TODAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 20, 12)  # when most users below are first seen
MS, HOUR = timedelta(milliseconds=1), timedelta(hours=1)
STEPS = [("core", "open", "app_opened"), ("core", "open", "tab_opened"), ("core", "done", "done")]


def event(at, name="app_opened", user="u", received=None, mapping=None, platform="ios"):
    return {
        "id": f"{user} {name} {at}",
        "anonymous_user_id": user,
        "event_name": name,
        "occurred_at": at,
        "received_at": received or at,
        "experiment_map": mapping,
        "platform": platform,
    }


def on(rows, day, metric):
    """The (value, dimensions, is_final) of a day's overall row."""
    return rows[day, metric, "overall"]


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


def test_event_names_count_once_each_however_long():
    long = "n" * 201
    # the digits are what `printf n%.0s {1..201} | sha256sum` prints
    key = "n" * 180 + "~291c4194382c6bd5c12b872660b0fb6d2316508d4632c9b289ed5928c2588b1b"
    names = ["overall", "n" * 200, long, long, None]
    rows = daily(Source([event(NOON, name) for name in names]), NOW, 14)
    volumes = {k[2]: row for k, row in rows.items() if k[1] == "event_volume_by_name"}
    assert {k: row[0] for k, row in volumes.items()} == {"overall": 1, "n" * 200: 1, key: 2}
    assert volumes[key][1] == {"event_name": long, "day": "2026-11-20"}


def test_a_long_pair_is_shortened_after_escaping():
    long = "y" * 198 + "%"
    rows = funnel(Source([event(NOON, mapping={long: "A"})]), NOW, 14, STEPS)
    # the digits are what `(printf y%.0s {1..198}; printf %%25:A) | sha256sum` prints
    key = "y" * 180 + "~7bf846869befe639d10625aecc021e5a5339be4ccce4c6307e65f0cb394abb16"
    assert rows[NOON.date(), "core", "open", key] == (long, "A", 1, 1, True)


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


THREE = Funnel("f", [("a", {"a"}), ("b", {"b", "b2"}), ("c", {"c", "b2"})], 2 * DAY)


def converted(*events, now=NOW):
    """The overall rows of a window of 14 days that have users, as (users, seconds)."""
    rows = conversions(Source([*events]), now, window_dates(now, 14), [THREE], ["platform"])
    assert all(row.users_count or key[3] == "overall" for key, row in rows.items())
    return {(key[0].day, key[2]): row[1:3] for key, row in rows.items()
            if key[3] == "overall" and row.users_count}  # fmt: skip


def test_a_funnel_counts_the_earliest_chain_in_order():
    journey = [event(NOON + n * HOUR, name) for n, name in enumerate("acbac")]
    assert converted(*journey) == {
        (20, "a"): (1, 0), (20, "b"): (1, 7200), (20, "c"): (1, 14400),
    }  # fmt: skip
    at_once = [event(NOON, name) for name in "cba"]
    assert converted(*at_once) == {(20, step): (1, 0) for step in "abc"}
    # One event is at both steps; without the first step there is no entry.
    both = [event(NOON - MS, "b"), event(NOON, "a"), event(NOON + HOUR, "b2")]
    assert converted(*both) == {(20, "a"): (1, 0), (20, "b"): (1, 3600), (20, "c"): (1, 3600)}
    assert converted(event(NOON, "b"), event(NOON, "c"), event(NOON, "a", None)) == {}
    waits = [
        row for n in (1, 2, 6) for row in (event(NOON, "a", n), event(NOON + n * HOUR, "b", n))
    ]
    assert converted(*waits)[20, "b"] == (3, 7200)


def test_a_funnels_window_starts_with_each_day_anew():
    first = [event(NOON, "a"), event(NOON + HOUR, "a"), event(NOON + DAY, "a")]
    for late, days in ((0 * MS, [20, 21]), (MS, [21])):
        found = converted(*first, event(NOON + 2 * DAY + late, "b"))
        assert [day for day, step in found if step == "b"] == days
        assert [day for day, step in found if step == "a"] == [20, 21]
    rows = conversions(Source(first), NOON + 2 * DAY, window_dates(NOON, 2), [THREE], [])
    end = datetime(2026, 11, 22)
    assert rows[date(2026, 11, 19), "f", "c", "overall"] == (
        Conversion(3, 0, None, end - DAY, False)._replace(matures_at=end, is_final=True)
    )
    assert rows[date(2026, 11, 20), "f", "a", "overall"] == Conversion(1, 1, 0, end + DAY, False)


def test_an_entry_has_one_variant_and_one_value_of_a_dimension():
    entry = [
        event(NOON, "a", mapping={"x": "B"}, platform=None),
        event(NOON, "a", mapping={"x": "A", "y": 2}, platform="ü"),
        event(NOON, "a", platform="z"),
        event(NOON, "b", mapping={"x": "0"}, platform="a"),
        event(NOON + MS, "a", mapping={"x": "0"}, platform="a"),
    ]
    rows = conversions(Source(entry), NOW, [NOON.date()], [THREE], ["platform"])
    assert {key[3] for key in rows} == {"overall", "x:A", "y:2", "platform=z"}
    assert {key[2] for key in rows if key[3] == "x:A"} == {"a", "b"}


def test_values_are_named_by_how_many_users_they_have():
    seen = [(str(n), user) for n in range(21) for user in range(1 + (n in (3, 20)))]
    seen += [(None, 0), ("0", None), ("", 1), ("", 2), ("", 3)]
    key_of = keys("d", seen)
    named = {text for text, _ in seen if text and not key_of(text).endswith("(other)")}
    # "", "3" and "20" have more than one user; by bytes, "9" and "8" come last of the others.
    assert {str(n) for n in range(21)} - named == {"8", "9"}
    assert [key_of(text) for text in ("", None, "9")] == ["d=", "d=(none)", "d=(other)"]


def test_keys_of_values_stay_apart():
    values = ["(none)", "%28none)", "(other)", "a:b", "a%3Ab", "=", "y" * 199, "y" * 198]
    key_of = keys("d", [(value, "u") for value in values])
    assert [key_of(value) for value in values] == [
        "d=%28none)", "d=%2528none)", "d=%28other)", "d=a%3Ab", "d=a%253Ab", "d==",
        # the digits are what `(printf d=; printf y%.0s {1..199}) | sha256sum` prints
        "d=" + "y" * 178 + "~070e714239553f34209032e0ebedc632f83ac11510dc5ef8c4350837f098bcc3",
        "d=" + "y" * 198,
    ]  # fmt: skip


def test_a_value_may_lie_in_json():
    properties = {"a": {"b": [1, None, {"c": True}]}, "s": 'say "é"', "n": None, "": 1.50}
    row = {"properties": properties, "platform": ""}
    paths = ("platform", "properties.s", "properties.n", "properties.x.y", "properties.s.y")
    assert [value_of(row, path) for path in paths] == ["", 'say "é"', None, None, None]
    assert value_of(row, "properties.a") == '{"b": [1, null, {"c": true}]}'
    assert json_text(properties["s"]) == r'"say \"é\""'


def test_a_user_of_two_platforms_counts_in_both():
    events = [
        event(NOON, platform="b"),
        event(NOON, platform=None),
        event(NOON + HOUR, "session_submitted", platform="a"),
        event(NOON + HOUR, "session_submitted", None, platform="a"),
    ]
    rows = daily_dimensions(Source(events), NOW, window_dates(NOW, 14), ["platform"])
    found = {(key[1], key[2][9:]): row[0] for key, row in rows.items()}
    assert len(rows) == 12 and {key[0] for key in rows} == {NOON.date()}
    assert [found["dau", key] for key in ("a", "b", "(none)")] == [1, 1, 1]
    assert [found["new_users", key] for key in ("a", "b", "(none)")] == [0, 1, 0]
    assert [found["sessions_submitted", key] for key in ("a", "b", "(none)")] == [2, 0, 0]
    rate = rows[NOON.date(), "logging_rate_24h", "platform=b"]
    assert rate == (1, {"cohort_size": 1, "converted_users": 1}, True)


def test_retention_has_the_cells_that_meet_the_window():
    monday = date(2026, 10, 19)  # five weeks before NOW's
    born = datetime(2026, 10, 24, 12)
    events = [event(born), event(born + 30 * DAY), event(born + 2 * DAY, user="v", platform="web")]
    rows = retention(Source(events), NOW, window_dates(NOW, 2), ["platform"])
    weekly = {key[1:]: row for key, row in rows.items() if key[0] == "week"}
    daily_ = {key[1:3]: row for key, row in rows.items() if key[0] == "day" and key[3] == "overall"}
    # 22 and 23 November; number 30 of the 24th of October is the 23rd of November.
    assert daily_ == {
        (born.date(), 29): Cell(0, TODAY - DAY, TODAY - DAY, True),
        (born.date(), 30): Cell(1, TODAY, TODAY, False),
        (born.date() + 2 * DAY, 27): Cell(0, TODAY - DAY, TODAY - DAY, True),
        (born.date() + 2 * DAY, 28): Cell(0, TODAY, TODAY, False),
    }
    this_week = Cell(1, TODAY, TODAY + 6 * DAY, False)
    last_week = Cell(0, TODAY - WEEK, TODAY - DAY, True)
    assert weekly == {
        **{(monday, 4, key): last_week for key in ("overall", "platform=ios")},
        **{(monday, 5, key): this_week for key in ("overall", "platform=ios")},
        **{(monday + WEEK, 3, key): last_week for key in ("overall", "platform=web")},
        **{(monday + WEEK, 4, key): this_week._replace(users_count=0)
           for key in ("overall", "platform=web")},
    }  # fmt: skip


def test_active_users_are_never_a_sum_of_days():
    ago = ((0, "u"), (1, "u"), (6, "v"), (7, "w"), (27, "x"), (28, "y"))
    events = [event(NOON - n * DAY, user=user, platform=user) for n, user in ago]
    rows = active(Source(events), NOON, [NOON.date()], ["platform"])
    counts = {key[1:]: row[0] for key, row in rows.items()}
    users = {"day": "u", "week": "uv", "month": "uvwx"}
    assert counts == {
        **{(period, "overall"): len(its) for period, its in users.items()},
        **{(period, f"platform={user}"): 1 for period, its in users.items() for user in its},
    }
    nobody = active(Source(), NOON, [NOON.date()], ["platform"])
    assert nobody == {(NOON.date(), period, "overall"): (0, False) for period in users}


def test_merge_takes_a_cohort_for_purged_when_all_its_days_are():
    monday = datetime(2026, 11, 16)
    cases = (("34", "3", False, 1), ("034", "3", True, 3), ("347", "7", True, 2))
    for *days, purged, count in cases:
        old, source = (Source([event(monday + int(n) * DAY, user=n) for n in its]) for its in days)
        before, fresh = (retention(its, NOW, window_dates(NOW, 14), []) for its in (old, source))
        log = Log()
        after = merge("retention", before, fresh, source, NOW, 14, log)
        assert (log.kept_since is not None) == purged
        assert after["week", monday.date(), 0, "overall"].users_count == count
