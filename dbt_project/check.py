"""What a person should hear of: jobs, the source, odd numbers, and experiments that went wrong."""

import math
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from dbt_project import columns, freshness, our_tables, preflight, run_log
from dbt_project.messages import one_line
from dbt_project.settings import lake_path
from dbt_project.window import JOBS

# A run a day, and two hours for one that begins late or takes long.
MAX_AGE_HOURS = 26
# docs/alerts.md gives the reasons for these.
LEAST_USERS, LEAST_WEEKS, LEAST_LAG_S = 50, 3, 300
LEAST_FACTOR, NOISE = 1.5, 4
LATEST_RUNS = """
    select status, extract(epoch from started_at), left(split_part(error_text, E'\\n', 1), 200)
    from {} where job_name = %s order by started_at desc limit 20
"""
LAST_SUCCESS = """
    select
        extract(epoch from max(least(coalesce(as_of, started_at), now()))
            filter (where status = 'SUCCESS')),
        extract(epoch from min(started_at))
    from {} where job_name = %s
"""
WEEKDAYS = """
    with latest as (
        select metric_name, max(day) as day
        from {daily}
        where
            dimension_key = 'overall' and is_final
            and day > (select max(day) from {daily}) - 14
        group by 1
    )
    select
        latest.metric_name, latest.day - rows.day, to_char(latest.day, 'YYYY-MM-DD'), rows.value,
        rows.dimensions ->> 'unit', cast(rows.dimensions ->> 'cohort_size' as double precision),
        dau.value
    from latest
    join {daily} as rows
        on rows.metric_name = latest.metric_name and rows.dimension_key = 'overall'
        and rows.is_final and latest.day - rows.day in (0, 7, 14, 21, 28)
    left join {daily} as dau
        on dau.metric_name = 'dau' and dau.dimension_key = 'overall' and dau.day = rows.day
    order by 1, 2
"""
EXPERIMENTS = """
    select
        health.experiment_id, health.srm, health.crossover, health.crossover_share, health.variants
    from {} as health join {} as catalog on catalog.experiment_id = health.experiment_id
    where
        catalog.status in ('RUNNING', 'PAUSED')
        and (health.srm = 'mismatch' or health.crossover = 'alarm')
    order by 1
"""
UNFINISHED = """
    select to_char(min(day), 'YYYY-MM-DD'), to_char(max(day), 'YYYY-MM-DD'), %(today)s - min(day)
    from {}
    where
        not is_final and metric_name in ('dau', 'logging_rate_24h') and dimension_key = 'overall'
        and day > %(today)s - 30 and day < %(final)s
"""
UNSTARTED = """
    select message from {}
    where trouble = %s and told_at > coalesce(
        (select max(started_at) from {} where status = 'SUCCESS'), '-infinity'
    )
    limit 1
"""

START = "start"  # a run that could not begin, which the run log does not have
Found = dict[str, str]


def check(
    conn: psycopg.Connection, source: str, analytics: str, max_age_hours: int = MAX_AGE_HOURS
) -> Found:
    """Return what is wrong, as sentences by a key that stays while the trouble does.

    `conn` is in a transaction. Writes nothing. What never ran here is no trouble.
    """
    our_tables.check_code(conn, analytics, owners=False)
    our_tables.check_schema(conn, analytics, writes=False)
    now = datetime.now(UTC)
    if lake_path() and not columns.relations(conn, source, ["event_logs"]):
        # Only Spark can read it.
        jobs, found = [*JOBS], Found()
    else:
        idle = preflight.idle(conn, source, JOBS)
        jobs, found = [job for job in JOBS if job not in idle], _silence(conn, source)
    if exists(conn, analytics, "rollup_runs"):
        found |= failed_jobs(conn, analytics, jobs)
        found |= _old_jobs(conn, analytics, jobs, now, max_age_hours)
        if exists(conn, analytics, "rollup_alerts"):
            names = (sql.Identifier(analytics, name) for name in ("rollup_alerts", "rollup_runs"))
            for (message,) in conn.execute(sql.SQL(UNSTARTED).format(*names), [START]).fetchall():
                found[START] = message
    if exists(conn, analytics, "daily_metric_rollups"):
        if "age:daily" not in found:
            found |= _unfinished(conn, analytics, now, max_age_hours)
        found |= _odd_numbers(conn, analytics)
    if exists(conn, analytics, "experiment_health"):
        found |= _experiments(conn, analytics)
    return found


def failed_job(job: str, error: str | None) -> Found:
    # The rest of an error may quote the app's data.
    first = one_line((error or "").partition("\n")[0])[:200]
    return {f"run:{job}": f"Job {job}: the last run failed: {first}"}


def failed_jobs(conn: psycopg.Connection, schema: str, jobs: Any) -> Found:
    found: Found = {}
    query = sql.SQL(LATEST_RUNS).format(sql.Identifier(schema, "rollup_runs"))
    for job in jobs:
        for status, _, error in conn.execute(query, [job]).fetchall():
            if status == "RUNNING" and not run_log.is_locked(conn, schema, job):
                status, error = "FAILED", run_log.ORPHANED
            if status != "RUNNING":
                found |= failed_job(job, error) if status == "FAILED" else {}
                break
    return found


def _old_jobs(
    conn: psycopg.Connection, schema: str, jobs: list[str], now: datetime, hours: int
) -> Found:
    found = {}
    query = sql.SQL(LAST_SUCCESS).format(sql.Identifier(schema, "rollup_runs"))
    for job in jobs:
        (row,) = conn.execute(query, [job]).fetchall()
        last, first = (at and datetime.fromtimestamp(float(at), UTC) for at in row)
        since = last or first
        if since and now - since > timedelta(hours=hours):
            age = f"{(now - since) / timedelta(hours=1):,.0f} hours, and the limit is {hours}"
            what = f"are as of {since:%Y-%m-%d %H:%M} UTC" if last else "were never computed"
            found[f"age:{job}"] = f"Job {job}: its numbers {what}: {age}."
    return found


def _silence(conn: psycopg.Connection, source: str) -> Found:
    try:
        with conn.transaction():
            summary, sentence = freshness.check(conn, source)
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
    ) as error:
        reason = one_line(str(error).splitlines()[0])
        return {"source": f"event_logs in schema {source} cannot be read: {reason}."}
    return {} if summary["ok"] else {"source": sentence}


def _unfinished(conn: psycopg.Connection, schema: str, now: datetime, hours: int) -> Found:
    """Find days that short runs left unfinished, as no longer run came after them."""
    query = sql.SQL(UNFINISHED).format(sql.Identifier(schema, "daily_metric_rollups"))
    # A day for the 24-hour rate, and one since the days may be those of any zone.
    final = (now - timedelta(hours=hours)).date() - timedelta(days=2)
    ((first, last, back),) = conn.execute(query, {"today": now.date(), "final": final}).fetchall()
    if not first:
        return {}
    return {
        "unfinished": f"The daily metrics of {first} to {last} are unfinished: the windows of the"
        f" runs were too short. Run with --window-days {back + 1}."
    }


def _odd_numbers(conn: psycopg.Connection, schema: str) -> Found:
    found: Found = {}
    rows: dict[str, list[tuple]] = {}
    query = sql.SQL(WEEKDAYS).format(daily=sql.Identifier(schema, "daily_metric_rollups"))
    for name, *row in conn.execute(query).fetchall():
        rows.setdefault(name, []).append(tuple(row))
    for name, ((_, day, value, unit, cohort, _), *weeks) in rows.items():
        before = [week[2] for week in weeks]
        # Users that the numbers rest on.
        users = [
            week[2] if name == "new_users" else week[4] if week[4] is not None else week[5] or 0
            for week in weeks
        ]
        if is_odd(value, before, users, is_rate=cohort is not None, is_lag=unit == "seconds"):
            usual = median(before)
            way = "low" if value < usual else "high"
            show = "{:.1%}" if cohort is not None else "{:,.4g}"
            told = [show.format(number) for number in (value, usual, min(before), max(before))]
            weekday = f"{date.fromisoformat(day):%A}"
            found[f"metric:{name}:{way}"] = one_line(
                f"{name} of {weekday}, {day}, is {told[0]}; the median of {len(before)}"
                f" {weekday}s before is {told[1]} ({told[2]} to {told[3]})."
            )
    return found


def is_odd(
    value: float, before: list[float], users: list[float], *, is_rate: bool, is_lag: bool
) -> bool:
    """Return whether a value is far from those of the same weekday of the weeks before.

    `users` are those behind each of `before`. Both directions count, but a lag must be long.
    """
    numbers = [value, *before]
    if len(before) < LEAST_WEEKS or median(users) < LEAST_USERS:
        return False
    if not all(map(math.isfinite, numbers)) or min(numbers) < 0 or median(before) == 0:
        return False
    usual = median(before)
    if is_lag and (value < usual or value < LEAST_LAG_S):
        return False

    def distance(number: float) -> float:
        return abs(math.log(number / usual)) if number else math.inf

    # The second largest: steady growth stays inside, and one strange week does not widen the band.
    spread = sorted(map(distance, before))[-2]
    if distance(value) <= max(math.log(LEAST_FACTOR), (3 if len(before) == 4 else 5) * spread):
        return False
    # How many things were counted: events, users who did it, or users for what is an average.
    counted = median(users)
    if is_rate:
        counted *= usual
    elif not is_lag and all(number == int(number) for number in numbers):
        counted = min(counted, usual)
    return abs(value - usual) > NOISE * usual / math.sqrt(counted)


def _experiments(conn: psycopg.Connection, schema: str) -> Found:
    """Find alarms of experiments that go on; who stopped one has heard of it."""
    tables = ("experiment_health", "experiment_catalog")
    found = {}
    query = sql.SQL(EXPERIMENTS).format(*(sql.Identifier(schema, table) for table in tables))
    for name, srm, crossover, share, variants in conn.execute(query).fetchall():
        label = one_line(name)
        if srm == "mismatch":
            split = ", ".join(
                f"{one_line(one['variant_id'])} has {one['users']:,} users, {one['share']:.1%}"
                f" where {one['expected_share']:.1%} were expected"
                for one in variants
                if one["share"] is not None and one["expected_share"] is not None
            )
            found[f"srm:{name}"] = f"Experiment {label}: sample-ratio mismatch: {split}."
        if crossover == "alarm":
            found[f"crossover:{name}"] = (
                f"Experiment {label}: {share:.1%} of the users saw more than one variant."
            )
    return found


def exists(conn: psycopg.Connection, schema: str, table: str) -> bool:
    query = "select to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) is not null"
    (row,) = conn.execute(query, [schema, table]).fetchall()
    return row[0]
