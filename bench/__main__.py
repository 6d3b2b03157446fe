"""Measure the jobs: `make bench EVENTS=10000000`, or `python -m bench --help`."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import click
import psycopg
from psycopg import sql

from bench import AS_OF
from bench.generate import generate
from bench.sql_time import sql_seconds
from dbt_project import ROOT, embedded
from dbt_project.report import table
from dbt_project.source import create_source_tables

STATISTICS = "experiment_statistics"
CONVERSIONS, DIMENSIONS = "funnel_conversion_rollups", "daily_dimension_rollups"
OF_JOB = {"daily": DIMENSIONS, "funnel": CONVERSIONS}  # which the columns of the jobs leave out
HOURLY = 2, ("daily",)  # dbt_project/schedule.py
PLAIN_PASS = """
    select count(*), max(received_at)
    from event_logs
    where
        occurred_at >= timestamp '2026-11-24' - %s * interval '1 day'
        and occurred_at < '2026-11-24'
"""
EIGHT_METRICS = """
    insert into analytics.experiment_metrics
    select
        metric_name || '_again', measure, event_name, denominator_event_name, delay_hours,
        window_hours, cap, desired, role
    from analytics.experiment_metrics
"""
EXPERIMENTS = """
    insert into experiments (experiment_id, status, start_at)
    select 'exp_' || number, 'RUNNING', '2026-05-01' from generate_series(1, 20) as number;
    insert into experiment_variants
        (id, experiment_id, variant_id, variant_name, is_control, weight)
    select experiment_id || variant, experiment_id, variant, variant, variant = 'A', 1
    from experiments cross join unnest(array['A', 'B', 'C']) as variant
"""
STORED = """
    delete from analytics.experiment_statistics;
    insert into analytics.experiment_statistics (
        day, experiment_id, variant_id, metric_name, users, crossover_users, mean, m2,
        pre_mean, pre_m2, pre_comoment, matures_at, is_final, computed_at
    )
    select
        date '2026-11-23' - age, experiment_id, variant_id, metric_name, 50, 0,
        0.3 + 0.1 * random(), 11, 0.3, 10, 2, now(), true, now()
    from experiment_variants cross join analytics.experiment_metrics
    cross join generate_series(1, 180) as age
"""
COMPOSITE = "create index on event_logs (anonymous_user_id, occurred_at)"


@dataclass(frozen=True)
class Scenario:
    """An event log and a window to compute from it. `events` and `users` are fractions of EVENTS.

    `after` is SQL to run on the filled log. Without `analyze` the planner has no statistics.
    """

    events: float = 1
    users: float = 0.01
    days: int = 180
    window_days: int = 14
    experiments: int = 2
    session_events: int = 8
    after: str = ""
    analyze: bool = True


# The first four are one app, with twice the history, more variants, and one more index. The others
# are logs with a tenth of the events, in shapes that may lead to bad plans.
SCENARIOS = {
    "base": Scenario(),
    "history": Scenario(events=2, days=360),
    "variants": Scenario(experiments=20),
    "index": Scenario(after=COMPOSITE),
    "young": Scenario(0.1, 0.04, days=10, session_events=1),
    "young_unanalyzed": Scenario(0.1, 0.04, days=10, session_events=1, analyze=False),
    "stale": Scenario(
        # Statistics from when the log had one user and one day.
        0.1, 0.04, days=10, session_events=1, analyze=False,
        after="create table kept as table event_logs; truncate event_logs;"
        " insert into event_logs select * from kept order by received_at, id limit 1;"
        " analyze; insert into event_logs select * from kept order by received_at, id offset 1;"
        " drop table kept",
    ),
    "whole_1": Scenario(0.1, 0.01, days=1, window_days=1),
    "whole_14": Scenario(0.1, 0.01, days=13, window_days=14),
    "whole_90": Scenario(0.1, 0.01, days=89, window_days=90),
    "whole_180": Scenario(0.1, 0.01, days=179, window_days=180),
    "one_user": Scenario(0.1, 0, days=13),
    "one_event": Scenario(0.1, 0.1, days=13, session_events=1),
}  # fmt: skip


@click.command()
@click.argument("events", type=int, default=1_000_000)
@click.option("--scenario", "scenarios", type=click.Choice(list(SCENARIOS)), multiple=True)
@click.option("--repeat", type=int, default=5, show_default=True)
def main(events: int, scenarios: tuple[str, ...], repeat: int) -> None:
    """Time whole runs, and compare the SQL of each job with one plain pass over its window.

    The base scenario spreads EVENTS over 180 days and EVENTS / 100 users. The databases are created
    on the server of BENCH_DATABASE_URL, by default an embedded one, and kept for later runs.
    """
    rows = []
    with _server() as url:
        for name in scenarios or SCENARIOS:
            target = _database(url, name, events)
            rows.append((name, *_measure(target, SCENARIOS[name].window_days, repeat)))
        readouts = _readouts(url, repeat)
    header = ("scenario", "events", "run s", "daily s", "experiment s", "funnel s", "plain pass s",
              "ratio", "s per million", "statistics", "of 8 metrics", "in order", "by dimension",
              "daily by dimension", "retention", "hourly")  # fmt: skip
    click.echo(table(header, rows))
    click.echo(
        f"Medians of {repeat}. events: in the window. run: `python cli.py --window-days N`, all of"
        " it. ratio: the three jobs' SQL, each job run alone, without funnel_conversion_rollups and"
        " daily_dimension_rollups, to the plain pass. s per million: the same for a million events"
        " of the window. in order, by dimension: funnel_conversion_rollups to the plain pass,"
        " without dimensions and with two. daily by dimension: daily_dimension_rollups. retention:"
        " both of its tables. hourly: the job daily over two days, to the plain pass of the window."
        " statistics: experiment_statistics"
        " to the plain pass, with four and with eight metrics.\n"
        "experiment_readouts of 20 experiments, 3 variants, 8 metrics and 180 days:"
        f" {readouts * 1000:.0f} ms."
    )


def _measure(url: str, window_days: int, repeat: int) -> tuple[str, ...]:
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "cli.py", "--window-days", str(window_days), "--as-of", AS_OF]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    runs, passes, jobs, eight, overall, hourly = [], [], [], [], [], []
    with psycopg.connect(url, autocommit=True) as conn:
        for _ in range(repeat):
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
            runs.append(time.perf_counter() - started)
            started = time.perf_counter()
            counted = conn.execute(PLAIN_PASS, [window_days]).fetchone()
            passes.append(time.perf_counter() - started)
            jobs.append(sql_seconds(conn, AS_OF, window_days))
            hourly.append(sql_seconds(conn, AS_OF, *HOURLY))
            overall.append(sql_seconds(conn, AS_OF, window_days, (CONVERSIONS,), dimensions=[]))
            conn.execute(EIGHT_METRICS)  # the next run loads the four again
            eight.append(sql_seconds(conn, AS_OF, window_days, (STATISTICS,)))
    assert counted is not None
    plain, run = statistics.median(passes), statistics.median(runs)
    seconds = [
        statistics.median(run[job] - run.get(OF_JOB.get(job, ""), 0) for run in jobs)
        for job in ("daily", "experiment", "funnel")
    ]
    tables = [(jobs, STATISTICS), (eight, STATISTICS), (overall, CONVERSIONS), (jobs, CONVERSIONS),
              (jobs, DIMENSIONS), (jobs, "retention"), (hourly, "daily")]  # fmt: skip
    passes_of = (statistics.median(run[name] for run in of) / plain for of, name in tables)
    ratios = (sum(seconds) / plain, sum(seconds) / counted[0] * 1e6, *passes_of)
    numbers = (run, *seconds, plain, *ratios)
    return (f"{counted[0]:,}", *(f"{number:.2f}" for number in numbers))


def _readouts(url: str, repeat: int) -> float:
    """Return the seconds of SQL of `experiment_readouts` on a large table of statistics."""
    target = psycopg.conninfo.make_conninfo(url, dbname="bench_readouts")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("drop database if exists bench_readouts with (force)")
        admin.execute("create database bench_readouts")
    with psycopg.connect(target, autocommit=True) as conn:
        create_source_tables(conn, "public")
        conn.execute(EXPERIMENTS)
        environment = {**os.environ, "DATABASE_URL": _as_url(target)}
        command = [sys.executable, "cli.py", "--job", "experiment", "--as-of", AS_OF]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        conn.execute(EIGHT_METRICS + ";" + STORED)
        conn.execute("analyze")
        models = ("experiment_readouts",)
        return statistics.median(
            sql_seconds(conn, AS_OF, 1, models)[models[0]] for _ in range(repeat)
        )


@contextmanager
def _server() -> Iterator[str]:
    if url := os.environ.get("BENCH_DATABASE_URL"):
        yield url
        return
    with embedded.server("bench") as url:
        yield url


def _database(url: str, scenario: str, events: int) -> str:
    """Return the URL of the scenario's database; create it if it does not exist."""
    wanted = SCENARIOS[scenario]
    name = f"bench_{scenario}_{events}"
    target = psycopg.conninfo.make_conninfo(url, dbname=name)
    with psycopg.connect(url, autocommit=True) as admin:
        if admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            return _as_url(target)
        click.echo(f"Making the events of scenario {scenario} …", err=True)
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    with psycopg.connect(target, autocommit=True) as conn:
        generate(
            conn,
            events=int(events * wanted.events),
            users=max(int(events * wanted.users), 1),
            days=wanted.days,
            as_of=AS_OF,
            experiments=wanted.experiments,
            session_events=wanted.session_events,
            analyze=wanted.analyze,
        )
        if wanted.after:
            conn.execute(wanted.after)
    return _as_url(target)


def _as_url(conninfo: str) -> str:
    """Return the conninfo as a URL for DATABASE_URL."""
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    login = quote(str(given.pop("user", "")), safe="")
    if "password" in given:
        login += ":" + quote(str(given.pop("password")), safe="")
    dbname = quote(str(given.pop("dbname")), safe="")
    return f"postgresql://{login}@/{dbname}?{urlencode(given)}"


if __name__ == "__main__":
    main()
