"""`check` and `--notify`: what is trouble, who is told of it, and how often."""

import json
import math
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
import tables
from commands import at_once
from receivers import Webhook, mail_server
from tables import CANARY

from dbt_project.check import is_odd
from dbt_project.source import create_source_tables

TODAY = datetime.now(UTC).date()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def template(lasting_database, run_on):
    """The name of a database in which all jobs ran just now."""
    conninfo = lasting_database()
    with tables.connect(conninfo) as conn:
        create_source_tables(conn, "public")
        source = tables.App(conn)
        now = datetime.now(UTC).replace(tzinfo=None)
        source.event(now)
        source.experiment("x", weight=0.5)
        for number in range(400):
            source.assign(f"u{number}", variant="AB"[number % 4 == 0], at=now - HOUR)
        run_on(tables.url_of(conninfo), "--window-days", 2)
        source.do("update analytics.experiment_catalog set status = 'ENDED'")
        return conn.info.dbname


@pytest.fixture
def database_url(template, lasting_database):
    return tables.url_of(lasting_database(template=template))


@pytest.fixture
def rollups(database_url):
    with tables.connect(database_url) as conn:
        yield tables.App(conn)


@pytest.fixture
def webhook(monkeypatch):
    with Webhook().serving() as webhook:
        monkeypatch.setenv("ALERT_URLS", f"json://user:{CANARY}@127.0.0.1:{webhook.port}/hook")
        yield webhook


@pytest.fixture
def found(cli):
    """Check; return what is wrong, by key."""

    def check(*arguments):
        outcome = cli("check", "--json", *arguments)
        listed = {one["key"]: one["message"] for one in outcome.summary["findings"]}
        assert outcome.exit_code == bool(listed) == (not outcome.summary["ok"]), outcome.stderr
        return listed

    return check


def log(source, job, status, at, error=None):
    source.do(
        "insert into analytics.rollup_runs (job_name, status, started_at, as_of, finished_at,"
        " window_start, window_end, error_text) values (%s, %s, %s, %s, now(), now(), now(), %s)",
        *(job, status, at, at, error),
    )


def daily(source, values, name="dau", *, users=None, cohort=None, latest=TODAY - DAY):
    """Write a metric's latest final day and the same weekday of the weeks before."""
    for week, value in enumerate(values):
        if value is not None:
            day = latest - week * 7 * DAY
            source.do(
                "insert into analytics.daily_metric_rollups"
                " (day, metric_name, dimension_key, value, dimensions, is_final, computed_at)"
                " values (%s, %s, 'overall', %s, %s, true, now())"
                " on conflict (day, metric_name, dimension_key) do update set"
                " value = excluded.value, dimensions = excluded.dimensions, is_final = true",
                *(day, name, value, json.dumps({"cohort_size": cohort}) if cohort else None),
            )
            if users:
                daily(source, [users], latest=day)


def test_no_trouble(rollups, cli, found):
    assert found() == {}
    outcome = cli("check")
    assert (outcome.exit_code, outcome.stdout) == (0, "No trouble.\n")
    assert rollups.conn.execute("select to_regclass('analytics.rollup_alerts')").fetchone() == (
        None,
    )


def test_what_never_ran_is_no_trouble_and_a_missing_source_is(rollups, found, monkeypatch):
    rollups.do("drop schema analytics cascade")
    assert found() == {}
    rollups.do("drop table event_logs")
    assert "event_logs in schema public cannot be read" in found()["source"]
    monkeypatch.setenv("LAKE_PATH", "s3a://bucket/events")
    assert found() == {}


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([("SUCCESS", 25)], {}),
        ([("SUCCESS", 27)], {"age:daily": r"are as of .* UTC: 27 hours, and the limit is 26\."}),
        ([("SUCCESS", 5), ("FAILED", 4)], {"run:daily": "the last run failed: model x: error$"}),
        ([("FAILED", 5), ("SUCCESS", 4)], {}),
        ([("FAILED", 5), ("SUCCESS", 30)], {"run:daily": "failed", "age:daily": "30 hours"}),
        ([("FAILED", 30)], {"run:daily": "failed", "age:daily": "never computed"}),
        ([("SUCCESS", 5), ("RUNNING", 4)], {"run:daily": "The process was killed"}),
    ],
)
def test_a_job_that_failed_or_is_late(rollups, found, runs, told):
    rollups.do("delete from analytics.rollup_runs where job_name = 'daily'")
    for status, hours in runs:
        at = datetime.now(UTC) - hours * HOUR
        log(rollups, "daily", status, at, "model x: error\n  detail of a user")
    listed = found()
    assert listed.keys() == told.keys()
    for key, pattern in told.items():
        assert re.search(pattern, listed[key]), listed
    assert found("--max-age", 40).keys() == {key for key in told if key.startswith("run")}


def test_a_job_without_its_tables_may_be_old(rollups, found):
    rollups.do("update analytics.rollup_runs set as_of = as_of - interval '2 days'"
               " where job_name = 'experiment'")  # fmt: skip
    assert found().keys() == {"age:experiment"}
    rollups.do("drop table assignments")
    assert found() == {}


def test_a_silent_source(rollups, found):
    rollups.do("update event_logs set received_at = received_at - interval '25 hours'")
    assert "and the limit is 24 hours" in found()["source"]


STEADY = [100, 102, 98, 100]
ODD = {
    "a fall": ([45, *STEADY], {}, True),
    "a rise": ([250, *STEADY], {}, True),
    "nothing at all": ([0, *STEADY], {}, True),
    "inside the factor": ([67, *STEADY], {}, False),
    "within the noise of few": ([28, 50, 50, 50, 50], {}, False),
    "beyond the noise of few": ([20, 50, 50, 50, 50], {}, True),
    "too few users": ([0, 49, 49, 49, 49], {}, False),
    "steady growth": ([round(100 * 1.3**week) for week in (4, 3, 2, 1, 0)], {}, False),
    "steady decline": ([round(1000 * 0.6**week) for week in (4, 3, 2, 1, 0)], {}, False),
    "growth with a missing week": ([286, None, 169, 130, 100], {}, False),
    "a holiday among the weeks": ([45, 100, 10, 100, 100], {}, True),
    "an outage among the weeks": ([45, 100, 0, 100, 100], {}, True),
    "weeks that differ much": ([30, 100, 300, 100, 300], {}, False),
    "three weeks": ([0, *STEADY[:3]], {}, True),
    "two weeks": ([0, *STEADY[:2]], {}, False),
    "never any": ([80, 0, 0, 0, 0], {"users": 900}, False),
    "an app that began": ([300, 200, 100, 0, 0], {}, False),
    "few events of many users": ([0, 6, 5, 7, 6], {"users": 900}, False),
    "many events of many users": ([0, 60, 50, 70, 60], {"users": 900}, True),
    "an average": ([1.1, 2.5, 2.4, 2.6, 2.5], {"users": 900}, True),
    "a rate": ([0.2, 0.5, 0.52, 0.48, 0.5], {"cohort": 400}, True),
    "a rate of few": ([0.2, 0.5, 0.52, 0.48, 0.5], {"cohort": 49}, False),
    "a rate of hardly any": ([0.0, 0.02, 0.02, 0.02, 0.02], {"cohort": 100}, False),
    "no number": ([math.nan, *STEADY], {}, False),
}  # fmt: skip


@pytest.mark.parametrize(("values", "users", "odd"), ODD.values(), ids=list(ODD))
def test_a_number_far_from_the_same_weekday(values, users, odd):
    value, *before = (number for number in values if number is not None)
    behind = [users.get("users") or users.get("cohort")] * len(before) if users else before
    assert is_odd(value, before, behind, is_rate="cohort" in users, is_lag=False) == odd


@pytest.mark.parametrize(("value", "odd"), [(0, False), (250, False), (400, True)])
def test_a_lag_may_be_short(value, odd):
    assert is_odd(value, [20] * 4, [500] * 4, is_rate=False, is_lag=True) == odd


def test_odd_numbers_of_the_latest_final_day(rollups, found):
    daily(rollups, [40, *STEADY])
    weekday = f"{TODAY - DAY:%A}"
    assert found() == {
        "metric:dau:low": f"dau of {weekday}, {TODAY - DAY}, is 40; the median of 4 {weekday}s"
        " before is 100 (98 to 102)."
    }
    rollups.do("update analytics.daily_metric_rollups set value = 99 where day = %s and value = 40",
               TODAY - DAY)  # fmt: skip
    for name in ("sessions_submitted", "new_users"):
        daily(rollups, [10, *STEADY], name)
    daily(
        rollups, [0.2, 0.5, 0.5, 0.5, 0.5], "logging_rate_24h", cohort=300, latest=TODAY - 2 * DAY
    )
    listed = found()
    assert listed.keys() == {
        f"metric:{name}:low" for name in ("sessions_submitted", "new_users", "logging_rate_24h")
    }
    assert "is 20.0%; " in listed["metric:logging_rate_24h:low"]
    # Today's is unfinished, and so is no news.
    rollups.do("update analytics.daily_metric_rollups set is_final = false where day >= %s",
               TODAY - 2 * DAY)  # fmt: skip
    assert found() == {}


def test_days_that_short_runs_left_unfinished(rollups, found):
    daily(rollups, [10], latest=TODAY - 5 * DAY)
    rollups.do("update analytics.daily_metric_rollups set is_final = false")
    listed = found()
    assert listed.keys() == {"unfinished"} and "Run with --window-days 6." in listed["unfinished"]


def test_alarms_of_experiments_that_go_on(rollups, found):
    assert found() == {}
    rollups.do("update analytics.experiment_catalog set status = 'RUNNING'")
    told = "A has 300 users, 75.0% where 50.0% were expected, B has 100 users, 25.0%"
    assert told in found()["srm:x"]
    rollups.do(
        "update analytics.experiment_health set srm = 'ok', crossover = 'alarm',"
        " crossover_share = 0.02"
    )
    assert found() == {"crossover:x": "Experiment x: 2.0% of the users saw more than one variant."}


def test_one_message_for_what_is_new_and_one_when_it_is_over(rollups, cli, webhook):
    def notify():
        outcome = cli("check", "--notify")
        assert CANARY not in outcome.stdout + outcome.stderr
        return outcome.exit_code, len(webhook.got)

    assert notify() == (0, 0)
    rollups.do("update event_logs set received_at = received_at - interval '25 hours'")
    log(rollups, "daily", "FAILED", datetime.now(UTC), "model x: error\n  detail of a user")
    assert [notify(), notify()] == [(1, 1)] * 2
    path, body = webhook.got[0]
    assert (path, body["title"]) == ("/hook", "Analytics Rollups: 2 problems")
    assert webhook.last.startswith("New:\n- event_logs is stale") and "detail" not in webhook.last
    log(rollups, "daily", "SUCCESS", datetime.now(UTC))
    assert [notify(), notify()] == [(1, 2)] * 2
    assert re.match(r"Still:\n- event_logs .*\nOver:\n- Job daily: the last run", webhook.last)
    webhook.status = 500
    rollups.event(datetime.now(UTC).replace(tzinfo=None))
    outcome = cli("check", "--notify")
    assert outcome.exit_code == 1 and "No trouble." in outcome.stdout
    assert re.search(r"JSON \(number 1 of ALERT_URLS\) did not take .*HTTP 500", outcome.stderr)
    webhook.status = 200
    assert [notify(), notify()] == [(0, 3)] * 2
    assert webhook.got[-1][1]["title"] == "Analytics Rollups: all is well again"


def test_each_url_is_told_until_it_took_the_message(rollups, cli, webhook, monkeypatch):
    with Webhook().serving() as other:
        urls = f"json://127.0.0.1:{webhook.port}/a, json://127.0.0.1:{other.port}/b"
        monkeypatch.setenv("ALERT_URLS", urls)
        other.status = 404
        rollups.do("delete from event_logs")
        assert [cli("check", "--notify").exit_code for _ in range(2)] == [1, 1]
        other.status = 200
        cli("check", "--notify")
        assert len(webhook.got) == len(other.got) == 1


def test_checks_at_once_tell_once(rollups, database_url, webhook):
    rollups.do("delete from event_logs")
    ended = at_once(database_url, *[["check", "--notify"]] * 3)
    assert [one.exit_code for one in ended] == [1] * 3
    assert len(webhook.got) == 1


def test_a_run_tells_that_it_failed_and_that_it_no_longer_does(
    rollups, cli, webhook, monkeypatch, tmp_path
):
    monkeypatch.setenv("ROLLUP_HOME", str(tmp_path))  # where an outage is noted
    arguments = ("--job", "daily", "--window-days", 1, "--notify")
    assert cli(*arguments).exit_code == 0 and webhook.got == []
    rollups.do("alter table analytics.daily_metric_rollups add check (value < 0) not valid")
    for _ in range(2):
        assert cli(*arguments).exit_code == 1 and len(webhook.got) == 1
    assert "- Job daily: the last run failed: model daily_metric_rollups: error" in webhook.last
    assert cli("check", "--notify").exit_code == 1 and len(webhook.got) == 1
    rollups.do("alter table analytics.daily_metric_rollups drop constraint"
              " daily_metric_rollups_value_check")  # fmt: skip
    assert cli(*arguments).exit_code == 0 and len(webhook.got) == 2
    with monkeypatch.context() as patch:
        patch.setenv("ROLLUP_TIMEZONE", "Asia/Kathmandu")
        assert cli(*arguments).exit_code == 1 and len(webhook.got) == 3
    assert "has days of UTC, and this run is for days of Asia/Kathmandu" in webhook.last
    assert cli(*arguments).exit_code == 0 and len(webhook.got) == 4
    # One that cannot even start is not in the run log.
    rollups.do("alter table event_logs rename to elsewhere")
    for _ in range(2):
        assert cli(*arguments).exit_code == 1 and len(webhook.got) == 5
    assert "New:\n- A run could not start: The source table event_logs" in webhook.last
    rollups.do("alter table elsewhere rename to event_logs")
    assert cli("check", "--notify").exit_code == 1 and len(webhook.got) == 5
    assert cli(*arguments).exit_code == 0 and len(webhook.got) == 6
    monkeypatch.setenv("ROLLUP_TIMEZONE", "Europe/Berln")
    assert cli(*arguments).exit_code == 1 and len(webhook.got) == 7
    assert "A run could not start: ROLLUP_TIMEZONE: 'Europe/Berln'" in webhook.last


def test_an_outage_of_the_database_is_told_once(
    rollups, cli, webhook, database_url, monkeypatch, tmp_path
):
    monkeypatch.setenv("ROLLUP_HOME", str(tmp_path))
    for command in (["check"], ["check"], ["--window-days", "1"]):
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        assert cli(*command, "--notify").exit_code == 1 and len(webhook.got) == 1
    assert "The check could not run: Cannot connect to 127.0.0.1:1" in webhook.last
    monkeypatch.setenv("DATABASE_URL", database_url)
    for _ in range(2):
        assert cli("check", "--notify").exit_code == 0 and len(webhook.got) == 2
    assert webhook.last.startswith("Over:\n- The database could not be checked.")


def test_mail_and_slack(rollups, cli, webhook, monkeypatch):
    slack = "?:message=text&:title=&:version=&:attachments=&:type="
    with mail_server() as (port, mails):
        mail = f"mailto://127.0.0.1:{port}?from=me@example.com&to=you@example.com&mode=insecure"
        urls = f"json://127.0.0.1:{webhook.port}/services/T/B/x{slack} {mail}"
        monkeypatch.setenv("ALERT_URLS", urls)
        rollups.do("delete from event_logs")
        outcome = cli("check", "--notify")
        assert outcome.exit_code == 1 and outcome.stderr == ""
    assert webhook.got == [("/services/T/B/x", {"text": webhook.got[0][1]["text"]})]
    assert "- event_logs is stale" in webhook.got[0][1]["text"]
    (mail,) = mails
    assert "Subject: Analytics Rollups: 1 problem" in mail and "event_logs is stale" in mail


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        ("", "--notify needs ALERT_URLS"),
        (f"nonsense://{CANARY}@host", "ALERT_URLS holds what is no URL of Apprise"),
        (f"json://host json//{CANARY}", "ALERT_URLS holds what is no URL of Apprise"),
    ],
)
@pytest.mark.parametrize("command", [["check"], ["--job", "daily"]])
def test_bad_urls_are_said_before_anything_runs(rollups, cli, monkeypatch, command, urls, told):
    monkeypatch.setenv("ALERT_URLS", urls)
    outcome = cli(*command, "--notify")
    assert outcome.exit_code == 1 and told in outcome.stderr and CANARY not in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    query = "select count(*), to_regclass('analytics.rollup_alerts') from analytics.rollup_runs"
    assert rollups.conn.execute(query).fetchone() == (4, None)


def test_apprise_may_be_missing(cli, webhook, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert "Apprise, which is not installed: run `pip" in cli("check", "--notify").stderr
