"""Measure the jobs: `make bench EVENTS=10000000`, or `python -m bench --help`."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import click
import psycopg
from psycopg import sql

from bench.generate import generate
from bench.sql_time import sql_seconds
from dbt_project import ROOT, embedded
from dbt_project.report import table

AS_OF = "2026-11-23T12:00:00+00:00"
WINDOW_DAYS = 14
PLAIN_PASS = """
    select count(*), max(received_at)
    from event_logs
    where occurred_at >= '2026-11-10 00:00:00+00' and occurred_at < '2026-11-24 00:00:00+00'
"""
COMPOSITE = "create index on event_logs (anonymous_user_id, occurred_at)"

# What each scenario changes: how many times the events and days, how many experiments, and
# what is done to the database afterwards. Two experiments have five variants.
SCENARIOS = {
    "base": (1, 2, None),
    "history": (2, 2, None),
    "variants": (1, 20, None),
    "index": (1, 2, COMPOSITE),
}


@click.command()
@click.argument("events", type=int, default=1_000_000)
@click.option("--scenario", "scenarios", type=click.Choice(list(SCENARIOS)), multiple=True)
@click.option("--repeat", type=int, default=5, show_default=True)
def main(events: int, scenarios: tuple[str, ...], repeat: int) -> None:
    """Time whole runs, and the SQL of each job against one plain pass over its window.

    EVENTS are spread over 180 days and a hundredth as many users. BENCH_DATABASE_URL names a
    server to create the databases on; by default it is an embedded one. They are kept, so a
    second run does not make them again.
    """
    rows = []
    with _server() as url:
        for name in scenarios or SCENARIOS:
            target = _database(url, name, events)
            rows.append((name, *_measure(target, repeat)))
    header = ("scenario", "run s", "daily s", "experiment s", "funnel s", "plain pass s", "ratio")
    click.echo(table(header, rows))
    click.echo(
        f"{events:,} events; medians of {repeat}. run: `python cli.py --window-days {WINDOW_DAYS}`,"
        " all of it. ratio: the three jobs' SQL, each job run alone, to the plain pass."
    )


def _measure(url: str, repeat: int) -> tuple[str, ...]:
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "cli.py", "--window-days", str(WINDOW_DAYS), "--as-of", AS_OF]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    runs, passes, jobs = [], [], []
    with psycopg.connect(url, autocommit=True) as conn:
        for _ in range(repeat):
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
            runs.append(time.perf_counter() - started)
            started = time.perf_counter()
            conn.execute(PLAIN_PASS)
            passes.append(time.perf_counter() - started)
            jobs.append(sql_seconds(conn, AS_OF, WINDOW_DAYS))
    plain = statistics.median(passes)
    seconds = [
        statistics.median(run[job] for run in jobs) for job in ("daily", "experiment", "funnel")
    ]
    return tuple(
        f"{n:.2f}" for n in (statistics.median(runs), *seconds, plain, sum(seconds) / plain)
    )


@contextmanager
def _server() -> Iterator[str]:
    if url := os.environ.get("BENCH_DATABASE_URL"):
        yield url
        return
    with embedded.server("bench") as url:
        yield url


def _database(url: str, scenario: str, events: int) -> str:
    """Return the URL of the scenario's database, made if it is not there yet."""
    factor, experiments, after = SCENARIOS[scenario]
    name = f"bench_{scenario}_{events}"
    target = psycopg.conninfo.make_conninfo(url, dbname=name)
    with psycopg.connect(url, autocommit=True) as admin:
        if admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            return _as_url(target)
        click.echo(f"Making {events * factor:,} events for scenario {scenario} …", err=True)
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    with psycopg.connect(target, autocommit=True) as conn:
        generate(
            conn,
            events=events * factor,
            users=events // 100,
            days=180 * factor,
            experiments=experiments,
            as_of=AS_OF,
        )
        if after:
            conn.execute(after)
            conn.execute("vacuum analyze event_logs")
    return _as_url(target)


def _as_url(conninfo: str) -> str:
    """Return the conninfo as the URL that DATABASE_URL wants."""
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    login = quote(str(given.pop("user", "")), safe="")
    if "password" in given:
        login += ":" + quote(str(given.pop("password")), safe="")
    dbname = quote(str(given.pop("dbname")), safe="")
    return f"postgresql://{login}@/{dbname}?{urlencode(given)}"


if __name__ == "__main__":
    main()
