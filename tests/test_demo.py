"""The made-up app: the same every time, believable, and never mixed into real data."""

import os
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from itertools import pairwise

import psycopg
import pytest

from dbt_project import demo, source
from dbt_project.messages import Failure

NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
SMALL = {"users": 200, "days": 30}
PEOPLE = "anonymous_user_id not like 'clock%'"


def one(db, query):
    return db.execute(query).fetchone()[0]


def checksum(db, schema, where="true"):
    """md5 over all rows of the four tables, in an order of their own."""
    sums = []
    for table in source.TABLES:
        only = where if table == "event_logs" else "true"
        rows = f'from "{schema}".{table} as t where {only}'
        sums.append(one(db, f"select md5(string_agg(t::text, chr(10) order by t::text)) {rows}"))
    return sums


@pytest.fixture(scope="module")
def filled(lasting_database):
    """A database that the tests below only read."""
    with psycopg.connect(lasting_database(), autocommit=True) as conn:
        demo.fill(conn, "public", NOW, **SMALL)
        yield conn


VERDICTS = {
    "fitness": {
        "exp_first_workout": ("better", "ok", "ok", False, True),
        "exp_home_feed": ("blocked", "ok", "alarm", False, True),
        "exp_push_time": ("blocked", "mismatch", "ok", False, True),
        "exp_rest_timer": ("no_difference_yet", "ok", "ok", False, True),
        "exp_streak_badge": ("no_difference_yet", "ok", "ok", False, True),
        "exp_weekly_goal": ("wait", "ok", "ok", True, True),
    },
    "shop": {
        "exp_one_page_checkout": ("better", "ok", "ok", False, True),
        "exp_product_video": ("no_difference_yet", "ok", "ok", False, True),
    },
}


@pytest.mark.parametrize("name", VERDICTS)
def test_default_size_shows_every_kind_of_verdict(db, cli, monkeypatch, name):
    told = []
    app = demo.APPS[name]
    total = demo.fill(db, "public", NOW, app=app, progress=lambda *call: told.append(call))
    db.commit()
    assert 100_000 <= total <= 200_000
    assert one(db, "select count(distinct anonymous_user_id) from event_logs") > 2_500
    assert len(told) > 20 and told == sorted(told) and told[-1] == (total, total)
    for variable, value in demo.settings(name).items():
        monkeypatch.setenv(variable, value)
    window = ("--as-of", NOW.isoformat(), "--window-days", demo.DAYS)
    assert cli("--job", "experiment", *window).exit_code == 0
    query = """
        select experiment_id, verdict, srm, crossover, cohort_days < 7, is_complete
        from analytics.experiment_readouts
        inner join analytics.experiment_health using (experiment_id)
        where metric_name in ('logged_24h', 'ordered_24h') and variant_id = 'B'
    """
    assert {test: verdict for test, *verdict in db.execute(query)} == {
        test: list(verdict) for test, verdict in VERDICTS[name].items()
    }


def test_the_shop_brings_its_own_settings(database_url, cli, db, monkeypatch):
    assert demo.settings("fitness") == {}
    monkeypatch.setattr(demo, "fill", partial(demo.fill, users=60, days=20))
    outcome = cli("demo", "--app", "shop")
    assert outcome.exit_code == 0, outcome.stderr
    serve = "To serve these numbers: KEY_EVENT=order_placed ROLLUP_SEEDS=dbt_project/shop DASHBOARD"
    assert serve in outcome.stdout and "KEY_EVENT" not in os.environ
    steps = dict(
        db.execute("""
            select step_name, sum(events_count) from analytics.funnel_rollups
            where funnel_name = 'purchase' and dimension_key = 'overall' group by 1
        """).fetchall()
    )
    orders = "select sum(value) from analytics.daily_metric_rollups where metric_name = %s"
    (total,) = db.execute(orders, ["sessions_submitted"]).fetchone()
    assert 0 < total == steps["order_placed"] < steps["checkout_started"] < steps["visit"]
    assert one(db, "select array_agg(distinct platform) from event_logs") == ["ios", "web"]
    assert demo.found(db, "public", demo.APPS["shop"]) and not demo.found(db, "public")
    db.rollback()
    refused = cli("demo")
    assert refused.exit_code == 1 and "needs an empty database" in refused.stderr


def test_same_seed_and_moment_give_the_same_rows_in_any_zone(db):
    total = demo.fill(db, "one", NOW, **SMALL)
    assert total == one(db, "select count(*) from one.event_logs")
    demo.fill(db, "other", NOW, seed=8, **SMALL)
    db.execute("set time zone 'Asia/Kolkata'")
    demo.fill(db, "two", NOW.astimezone(timezone(timedelta(hours=-9))), **SMALL)
    db.execute("reset time zone")
    assert checksum(db, "one") == checksum(db, "two") != checksum(db, "other")


def test_a_later_hour_adds_events_and_moves_none(db):
    demo.fill(db, "early", NOW.replace(hour=9), **SMALL)
    demo.fill(db, "late", NOW.replace(hour=21), **SMALL)
    until_nine = f"{PEOPLE} and received_at <= '2026-11-24 09:30'"
    assert checksum(db, "early", PEOPLE)[0] == checksum(db, "late", until_nine)[0]
    assert one(db, f"select count(*) from late.event_logs where not ({until_nine})") > 0


@pytest.mark.parametrize("table", source.TABLES)
def test_refuses_a_source_that_exists_and_leaves_it_alone(db, table):
    db.execute(f"create table {table} (id text, received_at timestamp)")
    db.execute(f"insert into {table} values ('mine')")
    db.commit()
    assert demo.found(db, "public") == ""
    with pytest.raises(Failure, match=f": {table}. The demo needs"):
        demo.fill(db, "public", NOW, **SMALL)
    assert source.existing_source_tables(db, "public") == [table]
    assert db.execute(f"select * from {table}").fetchall() == [("mine", None)]


def test_refuses_to_fill_twice_and_says_what_is_there(filled):
    before = checksum(filled, "public")
    total = one(filled, "select count(*) from event_logs")
    told = f"with {total:,} events received from 2026-10-26 to 2026-11-24. To begin again, "
    assert told in demo.found(filled, "public")
    with pytest.raises(Failure, match="exist already"):
        demo.fill(filled, "public", NOW, **SMALL)
    assert checksum(filled, "public") == before


def test_a_failure_halfway_leaves_nothing(db):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.fill(db, "fresh", NOW, progress=stop, **SMALL)
    assert source.existing_source_tables(db, "fresh") == []
    assert one(db, "select count(*) from pg_namespace where nspname = 'fresh'") == 0


def test_now_needs_a_zone(db):
    with pytest.raises(ValueError, match="time zone"):
        demo.fill(db, "public", NOW.replace(tzinfo=None), **SMALL)


def test_search_path_is_left_as_it_was(db):
    before = one(db, "show search_path")
    demo.fill(db, 'odd "name"', NOW, **SMALL)
    assert one(db, "show search_path") == before
    assert source.existing_source_tables(db, 'odd "name"') == list(source.TABLES)
    assert source.existing_source_tables(db, "public") == []


def test_a_role_without_the_right_to_create_schemas_can_fill_one(db):
    db.execute("create role demo_guest")
    db.execute("create schema given authorization demo_guest")
    db.execute("set role demo_guest")
    assert demo.fill(db, "given", NOW, **SMALL) > 0
    db.execute("reset role")
    db.rollback()


@pytest.mark.parametrize(
    ("lowest", "highest", "query"),
    [
        (0, 0, f"select count(*) from event_logs where {PEOPLE} and occurred_at > '{NOW}'"),
        (0, 0, f"select count(*) from event_logs where received_at > '{NOW}'"),
        (0, 0, f"select count(*) from assignments where assigned_at > '{NOW}'"),
        # Clocks within the tolerance, far ahead, and so late that the event is too old.
        (3, 20, "select count(*) from event_logs"
                " where occurred_at > '2026-11-24 15:30' and occurred_at <= '2026-11-24 15:35'"),
        (3, 20, "select count(*) from event_logs where occurred_at > '2026-11-24 16:00'"),
        (3, 20, "select count(*) from event_logs"
                " where occurred_at < '2026-05-28 15:30' and received_at > '2026-11-20'"),
        # Steps that do not follow the one before. Sessions that `now` cuts, or whose events are
        # received out of order, may lack a part.
        (0, 2, """
            select count(*) from (
                select
                    bool_or(event_name = 'session_submitted') as submitted,
                    bool_or(event_name = 'exercise_logged') as logged,
                    bool_or(event_name like 'workout%') as engaged,
                    bool_or(event_name = 'achievement_unlocked') as unlocked,
                    (array_agg(event_name order by occurred_at))[1] as first
                from event_logs group by session_id
            ) as session
            where
                first not in ('app_opened', 'tab_opened')
                or (logged and not engaged) or (submitted and not logged)
                or (unlocked and not submitted)"""),
        # Mondays are busier than Saturdays.
        (1.3, 3, """
            select count(*) filter (where extract(isodow from occurred_at) = 1)
                / cast(count(*) filter (where extract(isodow from occurred_at) = 6) as float)
            from event_logs"""),
        # Fewer users come back as time passes: days 1 to 3 over days 11 to 13.
        (1.2, 9, f"""
            with firsts as (
                select anonymous_user_id as who, min(occurred_at)::date as day
                from event_logs where {PEOPLE} group by 1
            )
            select count(*) filter (where age between 1 and 3)
                / cast(count(*) filter (where age between 11 and 13) as float)
            from (
                select distinct who, occurred_at::date - day as age
                from event_logs inner join firsts on who = anonymous_user_id
                where day < '2026-11-10'
            ) as visits"""),
        # Most events arrive in seconds, some in hours, none before it occurred.
        (1, 10, f"""
            select percentile_cont(0.5) within group (
                order by extract(epoch from received_at - occurred_at)
            ) from event_logs where {PEOPLE}"""),
        (0.005, 0.06, f"""
            select avg(cast(received_at - occurred_at > interval '1 hour' as int))
            from event_logs where {PEOPLE}"""),
        (0, 0, f"select count(*) from event_logs where {PEOPLE} and received_at < occurred_at"),
        # Events carry the assignments of their moment; a few carry none, and a few another variant.
        (0, 0, """
            select count(*) from event_logs
            cross join lateral jsonb_each_text(experiment_map) as pair
            left join assignments as known
                on known.anonymous_user_id = event_logs.anonymous_user_id
                and known.experiment_id = pair.key and known.variant_id = pair.value
                and known.assigned_at <= occurred_at
            where known.id is null and pair.key <> 'exp_home_feed'"""),
        (0.01, 0.1, """
            with exposed as (
                select bool_or(experiment_map ->> experiment_id <> variant_id) as switched
                from assignments inner join event_logs using (anonymous_user_id)
                where
                    experiment_id = 'exp_home_feed'
                    and occurred_at between assigned_at and assigned_at + interval '8 days'
                group by anonymous_user_id
            )
            select avg(cast(coalesce(switched, false) as int)) from exposed"""),
        (0.005, 0.2, "select avg(cast(experiment_map is null as int)) from event_logs"),
        # Half of the users are planned for B, and fewer come.
        (0.3, 0.48, """
            select avg(cast(variant_id = 'B' as int)) from assignments
            where experiment_id = 'exp_push_time'"""),
        # Most assignments are made at first sight; a new experiment meets old users too.
        (0.6, 0.99, """
            select avg(cast(assigned_at = first_at as int)) from assignments inner join (
                select anonymous_user_id, min(occurred_at) as first_at from event_logs group by 1
            ) as firsts using (anonymous_user_id)
            where experiment_id = 'exp_first_workout'"""),
        (0.6, 0.99, """
            select avg(cast(assigned_at > first_at + interval '1 day' as int)) from assignments
            inner join (
                select anonymous_user_id, min(occurred_at) as first_at from event_logs group by 1
            ) as firsts using (anonymous_user_id)
            where experiment_id = 'exp_weekly_goal'"""),
        # Days on which a user comes, of iOS over Android, and of invited over advertised to.
        *((lowest, 4, f"""
            select max(days) filter (where value = '{more}')
                / max(days) filter (where value = '{less}')
            from (
                select {column} as value, count(distinct (anonymous_user_id, occurred_at::date))
                    / count(distinct anonymous_user_id)::float as days
                from event_logs group by 1
            ) as visits""")
          for lowest, column, more, less in ((1.1, "platform", "ios", "android"),
                                             (1.4, "properties ->> 'source'", "friend", "ads"))),
        # A release takes days to reach most users, longer on Android.
        *((low, high, f"""
            select avg(cast(app_version = '2.5.0' as int)) from event_logs
            where platform = 'android' and occurred_at::date = date '2026-11-24' - {age}""")
          for age, low, high in ((13, 0, 0), (10, 0.1, 0.8), (1, 0.8, 1))),
        # Within a week, far more of those who open the app submit a session than on that day.
        (1.3, 3, f"""
            select sum(week) / sum(day)::float from (
                select
                    opened.anonymous_user_id, opened.occurred_at::date,
                    max((done.occurred_at::date = opened.occurred_at::date)::int) as day,
                    max((done.occurred_at is not null)::int) as week
                from event_logs as opened left join event_logs as done
                on
                    done.anonymous_user_id = opened.anonymous_user_id
                    and done.event_name = 'session_submitted'
                    and done.occurred_at - opened.occurred_at between '0' and interval '7 days'
                where
                    opened.event_name in ('app_opened', 'tab_opened')
                    and opened.occurred_at < '2026-11-17' and opened.{PEOPLE}
                group by 1, 2
            ) as entries"""),
    ],
)  # fmt: skip
def test_the_app_is_believable(filled, lowest, highest, query):
    assert lowest <= one(filled, query) <= highest


def test_each_step_keeps_fewer_sessions(filled):
    query = "select count(distinct session_id) from event_logs where event_name = any(%s)"
    steps = ["app_opened tab_opened", "workouts_default_loaded workout_started"]
    steps += ["exercise_logged", "session_submitted", "achievement_unlocked"]
    counts = [filled.execute(query, [names.split()]).fetchone()[0] for names in steps]
    assert all(less < 0.95 * more for more, less in pairwise(counts))
    assert counts[-1] > 0


def test_experiments_and_their_variants(filled):
    found = filled.execute("""
        select
            start_at::date - '2026-11-24', status, end_at, count(*),
            count(*) filter (where is_control), round(sum(weight)::numeric, 3)
        from experiments inner join experiment_variants using (experiment_id)
        group by experiment_id, start_at, status, end_at order by experiment_id
    """).fetchall()
    assert found == [
        (-60, "RUNNING", None, 2, 1, 1),
        (-25, "RUNNING", None, 2, 1, 1),
        (-35, "RUNNING", None, 2, 1, 1),
        (-30, "RUNNING", None, 3, 1, 1),
        (-60, "ENDED", datetime(2026, 11, 14), 2, 1, 1),
        (-3, "RUNNING", None, 2, 1, 1),
    ]


def test_the_guided_variant_converts_better(db):
    demo.fill(db, "public", NOW, users=1200, days=20)
    shares = dict(
        db.execute("""
            select variant_id, avg(submitted::int)::float from (
                select
                    experiment_map ->> 'exp_first_workout' as variant_id,
                    bool_or(event_name = 'session_submitted') as submitted
                from event_logs group by session_id, 1
            ) as session
            where variant_id is not null group by 1
        """).fetchall()
    )
    assert shares["B"] > 1.15 * shares["A"]
