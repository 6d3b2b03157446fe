"""`freshness`: whether the app's events still arrive."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from source_shapes import with_time_zones
from tables import event

from dbt_project import runner
from dbt_project.database import dbt_environment
from dbt_project.window import iso

HOUR = timedelta(hours=1)
BOTH = pytest.mark.parametrize("column_type", ["timestamp", "timestamptz"])


@pytest.fixture
def at():
    """The time so many hours ago, in UTC and naive, as in the source."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return lambda hours: now - hours * HOUR


def convert(source, column_type):
    if column_type == "timestamptz":
        with_time_zones(source)


def stamp(moment):
    return iso(moment.replace(tzinfo=UTC))


@BOTH
def test_fresh_late_and_stale(source, cli, at, column_type):
    convert(source, column_type)
    silent = cli("freshness")
    assert silent.exit_code == 1 and "holds no event that was received" in silent.stdout
    for hours, code, status, told in (
        (73, 1, "error", r"stale: .* received 3 days, 1:00:\d\d ago .* limit is 24 hours\."),
        (13.5, 0, "warn", r"late: .* received 13:30:\d\d ago .* limit is 12 hours\."),
        (3.5, 0, "pass", r"fresh: .* received 3:30:\d\d ago"),
    ):
        source.event(at(240), received=at(hours))
        sentence, answer = cli("freshness"), cli("freshness", "--json")
        assert (sentence.exit_code, answer.exit_code) == (code, code)
        assert re.search(told, sentence.stdout) and stamp(at(hours)) in sentence.stdout
        assert hours * 3600 <= answer.summary.pop("age_seconds") < hours * 3600 + 600
        assert answer.summary == {
            "ok": code == 0,
            "source": "event_logs",
            "status": status,
            "newest_received_at": stamp(at(hours)),
        }
        if code:
            assert cli("dbt", "--", "--quiet", "source", "freshness").exit_code == code


def test_a_view_that_casts_a_text_is_read_in_utc(source, cli, at):
    source.event(at(30), received=at(28))
    source.do("alter table event_logs rename to logs")
    source.do(
        "create view event_logs as select occurred_at, cast(text as timestamptz) as received_at"
        " from (select *, cast(received_at as text) as text from logs) as texts"
    )
    source.do(f"alter database {source.conn.info.dbname} set timezone to 'America/Los_Angeles'")
    answer = cli("freshness", "--json").summary
    assert (answer["status"], answer["newest_received_at"]) == ("error", stamp(at(28)))


@BOTH
def test_impossible_times_do_not_make_a_dead_source_look_alive(source, cli, at, column_type):
    convert(source, column_type)
    source.do("alter table event_logs alter received_at drop not null")
    hostile = ["infinity", "-infinity", "9999-12-31", "0044-03-15 BC", at(-3), at(-0.2)]
    source.events(*(event(at(0.1), received=time) for time in hostile))
    source.events(event(at(-3), received=at(-3)), event("infinity", received="infinity"))
    source.do("update event_logs set received_at = null where occurred_at = 'infinity'")
    answer = cli("freshness", "--json")
    assert answer.exit_code == 1
    assert answer.summary == {
        "ok": False,
        "source": "event_logs",
        "status": "error",
        "newest_received_at": None,
        "age_seconds": None,
    }
    source.event(at(30), received=at(29))
    assert cli("freshness", "--json").summary["newest_received_at"] == stamp(at(29))


def test_an_event_that_occurred_long_ago_may_be_the_newest(source, cli, at):
    source.event(at(70), received=at(2))
    source.event(at(0.5), received=at(30))  # its device's clock ran ahead
    source.event(at(5), received=at(5))
    answer = cli("freshness", "--json").summary
    assert answer["newest_received_at"] == stamp(at(2))
    source.event(at(0.7), received=at(0.6))
    answer = cli("freshness", "--json").summary
    assert answer["newest_received_at"] == stamp(at(0.6))


def test_a_clock_that_is_a_little_ahead_is_no_alarm(source, cli, at):
    source.event(at(0), received=at(-0.05))
    outcome = cli("freshness")
    assert outcome.exit_code == 0 and "received 0:00:00 ago" in outcome.stdout


def test_only_the_last_hour_of_a_live_source_is_read(source, at):
    source.do("""
        insert into event_logs (
            id, anonymous_user_id, session_id, install_id, platform, event_name,
            occurred_at, received_at
        )
        select n, 'u', 's', 'i', 'ios', 'app_opened', moment, moment
        from generate_series(1, 20000) as n
        cross join lateral (
            select now() at time zone 'UTC' - n * interval '10 minutes' as moment
        ) as it
    """)
    source.do("analyze event_logs")
    arguments = ["compile", "--inline", "{{ newest_moment('received_at') }}"]
    outcome = runner.dbt([*arguments, "--log-level", "none"], dbt_environment(source.conn))
    (result,) = outcome.result.results
    query = f"explain (analyze, costs off) {result.node.compiled_code}"
    plan = [line for (line,) in source.conn.execute(query)]
    read, left = (line for line in plan if "event_logs" in line)
    assert "event_logs_occurred_at_idx" in read and "never executed" not in read
    assert "never executed" in left


def test_a_missing_column_or_table_is_an_error(source, cli):
    source.do("alter table event_logs rename received_at to arrived_at")
    outcome = cli("freshness", "--json")
    assert outcome.exit_code == 1 and "received_at" in outcome.summary["error"]
    source.do("drop table event_logs")
    outcome = cli("freshness")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert 'relation "public.event_logs" does not exist' in outcome.stderr
