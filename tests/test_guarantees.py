"""What a run promises: one test for each guarantee."""

from datetime import datetime, timedelta

import oracle
import pytest
from source_shapes import nullable, with_time_zones
from tables import (
    NOW,
    ROLLUPS,
    Rollups,
    after_run,
    differences,
    event,
    expected,
    image,
    of_job,
    stored,
)

from dbt_project.source import TABLES

DAY, HOUR, MS = timedelta(days=1), timedelta(hours=1), timedelta(milliseconds=1)
AS_OF_NOW = ("--vars", f"{{as_of: '{NOW}'}}")
JOURNEY = ("app_opened", "workout_started", "exercise_logged", "session_submitted")
SOURCES = ("ad", None, "", 1.5, True, {"b": [1, None], "a": "é"}, "(none)")


def at(days_ago, hour=12):
    return datetime(2026, 11, 23, hour) - days_ago * DAY


@pytest.fixture
def lively(source):
    """Users a to f, first seen 13, 11, … 3 days ago, who come back on most days since."""
    source.experiment("x", ("A", "B"), start_at=at(40))
    source.experiment("over", ("A",), status="ENDED", end_at=at(5))
    source.experiment("draft", ("A",), status="DRAFT")
    for nth, user in enumerate("abcdef"):
        variant, first = "AB"[nth % 2], 13 - 2 * nth
        source.assign(user, "x", variant, at(first, 9))
        for ago in range(first, -1, -1 - nth % 2):
            for step, name in enumerate(JOURNEY[: 1 + (ago + nth) % 4]):
                moment = at(ago, 9 + step)
                late = moment + timedelta(seconds=ago + nth)
                properties = {"from": {"source": SOURCES[(ago + step) % len(SOURCES)]}}
                source.event(moment, name, user, received=late, mapping={"x": variant},
                             platform=("ios", "web")[ago % 2], version=f"1.{nth}",
                             properties=properties)  # fmt: skip
    return source


def test_a_second_run_changes_no_byte_but_computed_at(lively, run):
    first = run()
    assert first.exit_code == 0, first.stderr
    before, moments = image(lively.conn, but="computed_at"), image(lively.conn)
    second = run()
    assert second.summary["ok"] and second.of_jobs("rows_written") == first.of_jobs("rows_written")
    assert image(lively.conn, but="computed_at") == before
    assert all(rows for rows in before.values())
    after = image(lively.conn)
    assert all(set(rows).isdisjoint(after[table]) for table, rows in moments.items())


def test_whatever_changed_in_the_source_is_in_the_next_run(lively, run):
    lively.event(at(3), "misspelt_name", "a")
    run()
    before = stored(lively.conn)
    lively.event(at(6), "session_submitted", "a", received=NOW)  # arrives six days late
    lively.do("delete from event_logs where anonymous_user_id = 'b'")
    lively.do("delete from event_logs where event_name = 'misspelt_name'")
    lively.do("update assignments set variant_id = 'B' where anonymous_user_id = 'c'")
    lively.do(
        "update event_logs set experiment_map = '{\"x\": \"B\"}' where anonymous_user_id = 'c'"
    )
    lively.do("update experiment_variants set variant_id = 'C' where variant_id = 'B'")
    lively.do("delete from experiment_variants where experiment_id = 'over'")
    lively.do("delete from experiments where experiment_id = 'draft'")
    assert run().summary["ok"]
    after = stored(lively.conn)
    assert differences(after, expected(lively.rows(), NOW, 14)) == []

    day = at(6).date()
    submitted = (day, "sessions_submitted", "overall")
    assert after.daily[submitted][0] != before.daily[submitted][0]
    misspelt = (at(3).date(), "event_volume_by_name", "misspelt_name")
    assert misspelt in before.daily and misspelt not in after.daily
    born = (at(11).date(), "new_users", "overall")
    assert (before.daily[born][0], after.daily[born][0]) == (1, 0)
    assert {key[1:3] for key in before.experiment} == {("x", "A"), ("x", "B"), ("over", "A")}
    assert {key[1:3] for key in after.experiment} == {("x", "A"), ("x", "C")}
    moved = [before.experiment, after.experiment]
    assigned = [rows[NOW.date(), "x", "A", "users_assigned"][0] for rows in moved]
    assert assigned == [3, 2]
    opened = (at(11).date(), "core_journey", "active_open", "x:B")
    assert opened in before.funnel and opened not in after.funnel
    catalog = lively.conn.execute(
        "select experiment_id, variants from analytics.experiment_catalog order by 1"
    ).fetchall()
    assert [(name, [v["variant_id"] for v in variants]) for name, variants in catalog] == [
        ("over", []),
        ("x", ["A", "C"]),
    ]


def test_days_outside_the_window_keep_every_byte(lively, run):
    run()
    outside = f"day < '{at(2).date()}'"
    before, window = image(lively.conn, where=outside), image(lively.conn, where=f"not {outside}")
    for name in JOURNEY:
        lively.event(at(5), name, "late", mapping={"x": "A"})
        lively.event(at(1), name, "late", mapping={"x": "A"})
    lively.do("delete from event_logs where anonymous_user_id = 'a'")
    assert run("--window-days", 3).summary["ok"]
    assert image(lively.conn, where=outside) == before
    assert image(lively.conn, where=f"not {outside}") != window


@pytest.fixture
def follow(lively, run):
    """Run 20 days, and return a function that runs as of a time and compares with the model.

    The function checks that each job notes the given words.
    """
    assert run("--window-days", 20).summary["ok"]
    logs = {job: oracle.Log(newest=NOW) for job in Rollups._fields}
    model = stored(lively.conn)

    def follow(as_of, words):
        nonlocal model
        outcome = run(as_of=as_of)
        assert outcome.summary["ok"], outcome.stdout
        model = after_run(model, lively.rows(), as_of, 14, logs)
        assert differences(stored(lively.conn), model) == []
        notes = [note for job in outcome.summary["jobs"] for note in job["notes"]]
        assert len(notes) == len(ROLLUPS) and all(words in note for note in notes)

    return follow


def test_a_nightly_purge_keeps_what_was_final(lively, run, follow):
    for night in range(1, 4):
        now = NOW + night * DAY - 12 * HOUR
        if night == 1:  # by day
            lively.do("delete from event_logs where occurred_at < %s", at(4, hour=0))
        elif night == 2:  # by hour, and a user
            lively.do("delete from event_logs where occurred_at < %s", at(3, hour=10))
            lively.do("delete from event_logs where anonymous_user_id = 'd'")
        else:  # one old event of one phone, in the window or before it
            lively.event(at(9), "app_opened", "late")
            lively.event(at(30), "app_opened", "late")
        follow(now, "The source keeps")
    log = lively.conn.execute("select count(kept_since) from analytics.rollup_runs").fetchone()
    assert log == (3 * 4,)

    # Where nothing was ever computed, a day before the first event is a day of zeros.
    lively.do("alter schema analytics rename to purged")
    assert run(as_of=now).summary["ok"]
    fresh = expected(lively.rows(), now, 14)
    assert differences(stored(lively.conn), fresh) == []
    assert fresh.daily[at(8).date(), "dau", "overall"][0] == 0


def test_an_older_run_never_replaces_a_newer_one(lively, run, cli, follow):
    lively.event(at(5), "session_submitted", "late", mapping={"x": "A"})
    for as_of in (at(4, hour=0), at(5, hour=8), NOW - HOUR):
        follow(as_of, "left alone what was not final")
    before = stored(lively.conn)
    columns = "job_name, status, window_start, window_end, as_of"
    future = "'daily', 'SUCCESS', '2027-01-01', '2027-01-02', '2027-01-01'"
    lively.do(f"insert into analytics.rollup_runs ({columns}) values ({future})")
    older = "{as_of: 2026-11-20, window_days: 5}"
    assert cli("dbt", "--", "build", "--select", "daily", "--vars", older).exit_code == 0
    assert stored(lively.conn) == before
    assert not run(as_of=NOW + HOUR).summary["jobs"][0]["notes"]
    # A day without a time is the whole day.
    outcome = cli("--as-of", "2026-11-22", "--window-days", 1, "--dry-run", "--json")
    assert outcome.summary["as_of"] == "2026-11-22T23:59:59.999Z"


def test_an_empty_source_zeroes_no_history(lively, run):
    run()
    until = f"day <= '{NOW.date()}'"
    before = image(lively.conn, where=until)
    lively.do("truncate event_logs")
    outcome = run("--job", "daily", "--job", "funnel", as_of=NOW + DAY)
    assert outcome.summary["ok"]
    assert image(lively.conn, where=until) == before
    tomorrow = stored(lively.conn).daily[NOW.date() + DAY, "dau", "overall"]
    assert tomorrow == (0, None, False)


def test_timestamptz_and_enum_columns_give_the_same_answer(lively, run):
    # New York's clocks go back on 1 November 2026, and the window reaches beyond.
    name = lively.conn.info.dbname
    lively.do(f"alter database {name} set timezone to 'America/New_York'")
    for hours in range(0, 60, 2):
        user = f"night owl {hours % 6}"
        lively.event(datetime(2026, 10, 31) + hours * HOUR, "session_submitted", user)
        lively.assign(f"night owl {hours}", at=datetime(2026, 10, 31) + hours * HOUR - MS)
    assert run("--window-days", 30).summary["ok"]
    plain = image(lively.conn, but="computed_at")
    assert differences(stored(lively.conn), expected(lively.rows(), NOW, 30)) == []

    with_time_zones(lively)
    lively.do("create type status as enum ('DRAFT', 'RUNNING', 'PAUSED', 'ENDED')")
    lively.do("alter table experiments alter status drop default")
    lively.do("alter table experiments alter status type status using status::status")
    lively.do("alter schema analytics rename to plain")
    assert run("--window-days", 30).summary["ok"]
    assert image(lively.conn, but="computed_at") == plain
    for schema in ("plain", "analytics"):
        query = f"select start_at, end_at from {schema}.experiment_catalog order by experiment_id"
        assert lively.conn.execute(query).fetchall() == [
            (None, None),
            (None, at(5)),
            (at(40), None),
        ]


ODD_NAMES = (
    "__proto__", "7", "", " ", "overall", "null", "NaN", "it's", 'say "hi"', "back\\slash",
    "{{ var('as_of') }}", "{% endraw %}", "{# x", "%s %(x)s %", "$1 :x", "tab\tline\nend",
    "🏋️ Übung", "n" * 200, "n" * 201, "n" * 5_000, "m" * 1_000_000, "m" * 1_000_001,
)  # fmt: skip
ODD_MAPS = (
    {}, [], ["A"], "A", 5, True, {"x": None}, {"x": {"v": "A"}}, {"x": ["A"]}, {"x": 1.5},
    {"x": 10**400}, {"x": True}, {"": ""}, {"a:b": "c"}, {"a": "b:c"}, {"100%": "%3A"},
    {"__proto__": "constructor"}, {"{{ x }}": "{% if %}"}, {"it's": '"q"'}, {"k" * 5_000: "A"},
    {"x": "A", "y": "B", "z": None},
)  # fmt: skip
ODD_TIMES = ("infinity", "-infinity", "9999-12-31 23:59:59.999", "0002-01-01", None)


def test_bad_data_never_fails_a_run(source, run):
    nullable(source, *TABLES)
    # Its index on the name would refuse the longest ones.
    source.do("drop index event_logs_event_name_idx")
    source.event(at(13), "app_opened", "first")
    source.events(*(event(at(1), name, "names") for name in (*ODD_NAMES, None)))
    source.events(
        *(event(at(2), name, "maps", mapping=m) for m in ODD_MAPS for name in JOURNEY[:2])
    )
    source.do("update event_logs set experiment_map = 'null' where experiment_map = '{}'")
    source.events(*(event(at(3), user=user) for user in (None, "", " ", "'; --", "{{ u }}")))
    source.events(*(event(at(3), "session_submitted", user) for user in (None, "")))
    for moment in ODD_TIMES:
        source.event(moment, user="when", received=at(4))
        source.event(at(4), user="when", received=moment or "infinity")
    source.do("update event_logs set received_at = null where anonymous_user_id = ''")
    source.event(at(5), user="fast", received=at(6))  # received before it happened
    source.do("insert into event_logs (id) values ('nothing but an id')")

    names = ("a:b", "100%", "it's", 'say "hi"', "{{ x }}", "{% if %}", "__proto__", "", "y" * 800)
    for name in names:
        source.experiment(name, (name, "%", ":"), weight=float("nan"), start_at="-infinity")
        source.assign("first", name, name, at(13))
        source.assign("nobody", name, "%", "infinity")
    source.experiment("endless", status="ENDED", end_at="infinity", weight=float("inf"))
    source.experiment("lost", status="PAUSED")
    source.experiment("odd", status="no such status")
    source.experiment("bare", ())
    source.do("update experiments set status = null, targeting = null where experiment_id = 'odd'")
    source.do("insert into experiment_variants (id, experiment_id, variant_id)"
              " values ('1', 'no such experiment', 'A')")  # fmt: skip
    source.assign("first", "endless", "no such variant")
    source.assign("first", "no such experiment", "A")
    source.assign(None, "endless", "A", "-infinity")
    source.assign("maps", "endless", "A", None)
    source.assign("names", "endless", None, at(3))

    wanted = expected(source.rows(), NOW, 14)
    first = run()
    assert first.exit_code == 0, first.stdout
    assert differences(stored(source.conn), wanted) == []
    before = image(source.conn, but="computed_at")
    assert run().exit_code == 0
    assert image(source.conn, but="computed_at") == before


def test_a_variant_without_an_id_is_no_variant(source, run):
    nullable(source, "experiment_variants")
    source.event(at(1))
    source.experiment("x", ("A", None))
    outcome = run("--job", "experiment")
    assert outcome.exit_code == 0, outcome.stdout
    assert {key[1:3] for key in stored(source.conn).experiment} == {("x", "A")}


def test_numbers_in_a_map_name_variants_by_their_text(source, run):
    texts = ("1", "1.0", "1.00")
    for text in texts:
        source.do("insert into event_logs (id, anonymous_user_id, session_id, install_id, platform,"
                  " event_name, occurred_at, received_at, experiment_map) values"
                  " (%s, 'u', 's', 'i', 'ios', 'app_opened', %s, %s, %s::jsonb)",
                  text, at(1), at(1), f'{{"x": {text}}}')  # fmt: skip
    assert run("--job", "funnel").summary["ok"]
    keys = {key[3] for key in stored(source.conn).funnel if key[2] == "active_open"}
    assert keys == {"overall", "x:1", "x:1.0", "x:1.00"}


def test_full_refresh_keeps_history(lively, run, cli):
    run()
    purged = f"day < '{at(4).date()}'"
    before = image(lively.conn, where=purged)
    lively.do("delete from event_logs where occurred_at < %s", at(4, hour=0))
    outcome = cli("dbt", "--", "build", "--full-refresh", "--exclude-resource-type", "unit_test",
                  *AS_OF_NOW)  # fmt: skip
    assert outcome.exit_code == 0, outcome.stdout
    assert image(lively.conn, where=purged) == before


def tables_of(conn):
    query = "select relname from pg_class where relnamespace = 'analytics'::regnamespace"
    return {name for (name,) in conn.execute(f"{query} and relkind in ('r', 'v')")}


@pytest.mark.parametrize(
    ("job", "tables", "dimensions"),
    [
        (
            "daily",
            {"daily_metric_rollups", "daily_dimension_rollups", "rollup_runs"},
            ["properties.from.source", "platform"],
        ),
        (
            "experiment",
            {
                "experiment_metric_rollups",
                "experiment_catalog",
                "experiment_health",
                "experiment_metrics",
                "experiment_readouts",
                "experiment_statistics",
                "rollup_runs",
            },
            [],
        ),
        (
            "funnel",
            {"funnel_rollups", "funnel_conversion_rollups", "funnel_steps", "rollup_runs"},
            [],
        ),
        (
            "retention",
            {"retention_rollups", "active_user_rollups", "rollup_runs"},
            ["properties.from.source"],
        ),
    ],
)
def test_dbt_builds_each_job_by_itself(lively, cli, job, tables, dimensions):
    given = f"{{as_of: '{NOW}', dimensions: {dimensions}}}"
    outcome = cli("dbt", "--", "build", "--select", job, "--vars", given)
    assert outcome.exit_code == 0, outcome.stdout
    assert tables_of(lively.conn) == tables
    wanted = of_job(expected(lively.rows(), NOW, 14, dimensions=dimensions), job)
    assert differences(stored(lively.conn), wanted) == []
    query = "select job_name, status, rows_written, as_of, holder from analytics.rollup_runs"
    log = lively.conn.execute(query).fetchall()
    assert log == [(job, "SUCCESS", len(getattr(wanted, job)), NOW, "plain dbt")]


def test_without_tables_of_experiments_their_job_logs_no_run(lively, run, cli):
    lively.do("drop table assignments, experiment_variants")
    note = "Job experiment wrote nothing: the source has no assignments, no experiment_variants."
    for outcome in (run(), cli("dbt", "--", "build", *AS_OF_NOW)):
        assert outcome.exit_code == 0 and note in outcome.stdout
    log = lively.conn.execute("select job_name, holder = 'plain dbt' from analytics.rollup_runs")
    jobs = ("daily", "funnel", "retention")
    assert set(log) == {(job, is_plain) for job in jobs for is_plain in (True, False)}
    rows = stored(lively.conn)
    assert rows.experiment == {} and rows.daily and rows.funnel


def test_a_run_whose_settings_count_nothing_says_so(lively, run, monkeypatch):
    monkeypatch.setenv("KEY_EVENT", "paid,ordered")
    lively.do("delete from event_logs where event_name <> 'app_opened'")
    lively.do("update event_logs set event_name = 'visit'")
    outcome = run("--job", "daily", "--job", "funnel")
    told = "No event of the window is named paid or ordered, so key events are 0."
    assert outcome.exit_code == 0 and told in outcome.stdout
    assert "No event of the window is one of funnel core_journey." in outcome.stdout


def test_a_run_in_another_zone_touches_nothing(lively, run, cli, monkeypatch):
    run()
    before = image(lively.conn)
    monkeypatch.setenv("ROLLUP_TIMEZONE", "Asia/Kathmandu")
    for outcome in (run(), cli("dbt", "--", "build", *AS_OF_NOW)):
        assert outcome.exit_code == 1
        assert "has days of UTC, and this run is for days of Asia/Kathmandu" in outcome.stdout
    assert image(lively.conn) == before
