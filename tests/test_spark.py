"""`--target spark`: what it publishes is what the same runs on PostgreSQL write."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
import spark_here
from edges import DAY, HOUR, awkward, odd_json
from tables import App, differences, stored

pytestmark = spark_here.in_process
ZONE = "America/Havana"
NIGHT = datetime(2025, 11, 3, 4, 30)  # the day before, clocks were set back from 01:00 to midnight
KEY_EVENT = "workout_started, o'clock \\,exercise_logged"
BY_POSTGRES, BY_SPARK = "by_postgres", "analytics"


@pytest.fixture
def both(source, run, cli, tmp_path, monkeypatch) -> Iterator[Callable[..., None]]:
    """Run the same on PostgreSQL and on Spark, over a lake that then is all there is."""
    monkeypatch.setenv("ROLLUP_TIMEZONE", ZONE)
    monkeypatch.setenv("KEY_EVENT", KEY_EVENT)
    monkeypatch.setenv("LAKE_PATH", str(tmp_path / "a lake"))

    def both(now: datetime, *arguments: object) -> None:
        monkeypatch.setenv("ANALYTICS_SCHEMA", BY_POSTGRES)
        wanted = run(*arguments, as_of=now)
        assert wanted.exit_code == 0, wanted.stderr
        exported = cli("lake", "export", "--since", now.date() - timedelta(days=185))
        assert exported.exit_code == 0, exported.stderr
        monkeypatch.setenv("ANALYTICS_SCHEMA", BY_SPARK)
        with monkeypatch.context() as patch:
            patch.setenv("SOURCE_SCHEMA", "elsewhere")
            outcome = run("--target", "spark", *arguments, as_of=now)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        for field in ("status", "rows_written", "ignored_by_rule", "notes"):
            assert outcome.of_jobs(field) == wanted.of_jobs(field)
        assert differences(stored(source.conn, BY_SPARK), stored(source.conn, BY_POSTGRES)) == []

    with spark_here.small(tmp_path / "spark", monkeypatch):
        yield both


def change(source: App) -> None:
    """Late events, a user who is no longer new, and a day without events."""
    for days, user in ((1, "user 1"), (2, "late"), (3, "late"), (2, None)):
        source.event(NIGHT - days * DAY, "o'clock \\", user, received=NIGHT + HOUR)
    source.event(NIGHT - 100 * DAY, user="journey 0:00:00", received=NIGHT + HOUR)
    source.do("delete from event_logs where occurred_at >= '2025-11-01 04:00'"
              " and occurred_at < '2025-11-02 04:00'")  # fmt: skip


def test_spark_publishes_what_postgresql_computes(source, run, both, tmp_path, monkeypatch):
    awkward(source, NIGHT)
    odd_json(source)
    # Days that Spark never computed, over which the read-outs go all the same.
    for schema in (BY_POSTGRES, BY_SPARK):
        monkeypatch.setenv("ANALYTICS_SCHEMA", schema)
        assert run("--job", "experiment", as_of=NIGHT - 20 * DAY).exit_code == 0

    both(NIGHT, "--window-days", 14)
    before = spark_here.partitions(tmp_path / "spark", BY_SPARK)
    change(source)
    both(NIGHT + 2 * HOUR, "--window-days", 3, "--job", "daily", "--job", "funnel")

    after = spark_here.partitions(tmp_path / "spark", BY_SPARK)
    changed = {part for part in before.keys() | after.keys() if before.get(part) != after.get(part)}
    days = {part.rpartition("=")[2] for part in changed if "period=week" not in part}
    assert days == {"2025-11-01", "2025-11-02", "2025-11-03"}
    logged = source.conn.execute("select status, count(*) from analytics.rollup_runs group by 1")
    assert logged.fetchall() == [("SUCCESS", 7)]
