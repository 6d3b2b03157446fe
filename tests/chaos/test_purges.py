"""Sources that drop their old events, some of them, or all."""

from datetime import timedelta

import oracle
import pytest
from tables import JOB_OF, NOW, Rollups, after_run, differences, expected, image, stored
from test_against_oracle import NOON, awkward

from dbt_project import purged

DAY = timedelta(days=1)
# What an app may delete between two runs.
PURGES = {
    "older than ten days": ("occurred_at < %s", NOON - 10 * DAY),
    "older than a moment of a day": ("occurred_at < %s", NOON - 5 * DAY),
    "today only is left": ("occurred_at < %s", NOON.replace(hour=0)),
    "some users": ("anonymous_user_id like 'user %%' and length(anonymous_user_id) = 6",),
    "a user and the old": ("anonymous_user_id = 'user 9' or occurred_at < %s", NOON - 8 * DAY),
    "a day in the middle": ("occurred_at::date = %s", (NOON - 7 * DAY).date()),
    "all but the invalid": ("occurred_at between %s and %s", NOON - 180 * DAY, NOON + DAY),
    "everything": ("true",),
}


def purge(source, name):
    condition, *values = PURGES[name]
    source.do(f"delete from event_logs where {condition}", *values)


@pytest.fixture
def computed(source, run):
    """Awkward data, and the rollups that a run made of them."""
    awkward(source, NOON)
    assert run(as_of=NOON).exit_code == 0
    return stored(source.conn)


@pytest.mark.parametrize("window_days", [1, 14, 30])
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.chaos) for name in PURGES])
def test_a_purge_takes_no_history(source, run, computed, name, window_days):
    purge(source, name)
    logs = {}
    for later in (NOON, NOON + DAY, NOON + 3 * DAY):
        assert run("--window-days", window_days, as_of=later).exit_code == 0
        computed = after_run(computed, source.rows(), later, window_days, logs)
        assert differences(stored(source.conn), computed) == []


# What a source that keeps ten days deletes each night.
NIGHTLY = {
    "by day": "occurred_at < date_trunc('day', %s - interval '9 days')",
    "by hour": "occurred_at < date_trunc('hour', %s - interval '10 days')",
    "by user": "anonymous_user_id in (select anonymous_user_id from event_logs"
               " group by 1 having max(occurred_at) < %s - interval '10 days')",
}  # fmt: skip


@pytest.mark.chaos
@pytest.mark.parametrize("name", NIGHTLY)
def test_weeks_of_nightly_purges_take_no_history(source, run, computed, name):
    logs = {job: oracle.Log(newest=NOON) for job in Rollups._fields}
    for night in range(-14, 6):
        now = NOON + night * DAY + timedelta(hours=11)
        source.event(now - timedelta(hours=5), "session_submitted", f"guest {night}")
        source.event(now - timedelta(hours=9), "app_opened", f"guest {night - 3}")
        source.do(f"delete from event_logs where {NIGHTLY[name]}", now)
        if night % 4 == 0:  # a phone that was off for weeks
            source.event(now - timedelta(days=12 + night % 3), "app_opened", "late")
        assert run(as_of=now).exit_code == 0
        computed = after_run(computed, source.rows(), now, 14, logs)
        assert differences(stored(source.conn), computed) == []


@pytest.mark.chaos
@pytest.mark.parametrize("name", PURGES)
def test_whoever_agrees_gets_what_a_build_from_scratch_gives(source, run, computed, name):
    purge(source, name)
    outcome = run("--allow-purged", "--yes", as_of=NOON)
    assert outcome.exit_code == 0, outcome.stderr
    assert differences(stored(source.conn), expected(source.rows(), NOON, 14)) == []
    # The days before the window are not the run's.
    outcome = run("--allow-purged", "--yes", "--window-days", 1, as_of=NOON + DAY)
    assert outcome.exit_code == 0


def test_what_would_be_lost_is_named_first(source, run, computed, monkeypatch):
    before = image(source.conn)
    log = source.conn.execute("select count(*) from analytics.rollup_runs").fetchone()
    purge(source, "older than ten days")
    jobs = ("--allow-purged", "--job", "daily", "--job", "funnel")
    begins = min(row["occurred_at"] for row in oracle.valid_events(source.rows(), NOON))
    tables = {"daily_dimension_rollups": computed.dimensions,
              "daily_metric_rollups": computed.daily,
              "funnel_conversion_rollups": computed.conversions,
              "funnel_rollups": computed.funnel}  # fmt: skip
    days = sorted({key[0] for key, row in computed.daily.items() if row[-1]})
    lost = {name: sum(key[0] < begins.date() or row[-1] for key, row in its.items())
            for name, its in tables.items()}  # fmt: skip

    outcome = run(*jobs, as_of=NOON)
    assert outcome.exit_code == 1
    kept = (NOON.date() - begins.date()).days + 1
    assert f"The source keeps {kept} days, since {begins:%Y-%m-%d %H:%M} UTC." in outcome.stderr
    assert f"final rows of {days[0]} to {days[-1]}: " in outcome.stderr
    for name, rows in lost.items():
        assert f"{rows:,} rows of {name}" in outcome.stderr
    assert outcome.summary["ok"] is False and "Add --yes" in outcome.summary["error"]

    asked = []
    monkeypatch.setattr(purged, "has_terminal", lambda: True)
    monkeypatch.setattr(purged.click, "confirm", lambda *question, err: asked.append(question))
    outcome = run(*jobs, as_of=NOON)
    assert (outcome.exit_code, len(asked)) == (1, 1)
    assert image(source.conn) == before
    assert source.conn.execute("select count(*) from analytics.rollup_runs").fetchone() == log

    monkeypatch.setattr(purged.click, "confirm", lambda *question, err: True)
    assert run(*jobs, as_of=NOON).exit_code == 0
    wanted = expected(source.rows(), NOON, 14)._replace(**{
        table: rows for table, rows in computed._asdict().items()
        if JOB_OF[table] not in jobs
    })  # fmt: skip
    assert differences(stored(source.conn), wanted) == []


def test_nothing_to_lose_is_nothing_to_ask(source, run):
    awkward(source, NOW)
    outcome = run("--allow-purged")  # no table is there
    assert outcome.exit_code == 0 and "--yes" not in outcome.stderr
    source.do("delete from event_logs where occurred_at < %s", NOW.replace(day=10, hour=1))
    outcome = run("--allow-purged", "--job", "daily", "--window-days", 3)
    assert outcome.exit_code == 0 and "--yes" not in outcome.stderr


@pytest.mark.chaos
def test_plain_dbt_takes_the_variable(source, run, cli, computed):
    purge(source, "older than ten days")
    for given, wanted in (("false", computed), ("true", expected(source.rows(), NOON, 14))):
        values = f"{{as_of: '{NOON}', allow_purged: {given}}}"
        assert cli("dbt", "--", "run", "--select", "daily", "--vars", values).exit_code == 0
        gone = {key: row for key, row in stored(source.conn).daily.items()
                if key[0] < (NOON - 10 * DAY).date()}  # fmt: skip
        assert gone == {key: row for key, row in wanted.daily.items() if key in gone}
    outcome = cli("dbt", "--", "build", "--select", "daily", "--vars", "{allow_purged: perhaps}")
    assert outcome.exit_code == 1
