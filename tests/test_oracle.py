"""The oracle itself against cases small enough to work out by hand.

The clock stands at 15:30 on Monday 23 November 2026 unless a test says otherwise.
"""

from datetime import date, datetime, timedelta

from oracle import Log, Source, daily, funnel, ignored, merge

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
