"""Measure the API on a real server with a real client: `python -m bench.api`."""

import itertools
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import click
import psutil

from api import parameters, queries, responses
from api.database import Database
from api.settings import Settings
from bench.served import client, filled, flood, serving
from dbt_project.report import table
from dbt_project.window import Window

MEASURED = [
    (endpoint, days)
    for endpoint in responses.ENDPOINTS
    for days in ((0,) if endpoint is responses.READOUTS else (7, 90))  # which have no window
]


@click.command()
@click.option("--samples", type=int, default=200, show_default=True, help="Requests per number.")
@click.option("--requests", type=int, default=50_000, show_default=True, help="In the long run.")
@click.option("--connections", type=int, default=32, show_default=True, help="In the long run.")
def main(samples: int, requests: int, connections: int) -> None:
    """Time each endpoint beside its bare query, then look for errors and leaks in a long run."""
    with filled() as conninfo, serving(conninfo) as server:
        database, statements = Database(Settings(conninfo)), queries.load("analytics")
        rows = [_row(endpoint, days, samples, database, statements) for endpoint, days in MEASURED]
        database.close()
        header = ("endpoint", "days", "kB", "query p50", "p99", "cold p50", "p99", "ratio",
                  "cold/s", "304 p50", "p99", "304/s")  # fmt: skip
        click.echo(table(header, rows))
        click.echo(f"Milliseconds; {samples} requests in a row over one connection, /s over 8.")
        click.echo(_long_run(server, requests, connections))


def _row(endpoint, days, samples, database, statements) -> tuple[str, ...]:
    window = Window(datetime.now(UTC), days or 1)
    filters = dict.fromkeys(("experiment_id", "funnel_name", "dimension"))
    filters |= {"complete": False, "window_days": days}
    values = parameters.values(window, filters)
    names = [*(f"job_{job}" for job in endpoint.jobs), *endpoint.statements]
    path = _path(endpoint, days)
    bare = _times(samples, lambda: database.rows([statements[n] for n in names], values))
    with client() as ask:
        _, headers, body = ask(path)
        same = {"If-None-Match": headers["ETag"]}
        cold = _times(samples, lambda: ask(path))
        unchanged = _times(samples, lambda: ask(path, **same))
    numbers = (*bare, *cold, cold[0] / bare[0])
    rates = [_rate(path, samples * 2, extra) for extra in ({}, same)]
    return (
        endpoint.name,
        str(days or "all"),
        f"{len(body) / 1000:.0f}",
        *(f"{n:.2f}" for n in numbers),
        f"{rates[0]:.0f}",
        *(f"{n:.2f}" for n in unchanged),
        f"{rates[1]:.0f}",
    )


def _path(endpoint: responses.Endpoint, days: int) -> str:
    return f"/v1/metrics/{endpoint.name}" + (f"?window_days={days}" if days else "")


def _times(samples: int, action: Callable[[], object]) -> tuple[float, float]:
    """Return median and 99th percentile in milliseconds."""
    taken = []
    for _ in range(samples + 10):
        began = time.perf_counter()
        action()
        taken.append((time.perf_counter() - began) * 1000)
    taken = taken[10:]
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def _rate(path: str, requests: int, extra: dict[str, str]) -> float:
    began = time.perf_counter()
    flood(itertools.repeat((path, extra), requests), 8)
    return requests / (time.perf_counter() - began)


def _long_run(server: psutil.Process, requests: int, connections: int) -> str:
    paths = [_path(endpoint, days) for endpoint, days in MEASURED]
    paths += ["/v1/metrics/daily?format=csv", "/v1/metrics/daily?window_days=0"]
    paths += ["/v1/runs", "/ready"]
    # Large responses only once in ten rounds, or the run takes half an hour.
    small = [path for path in paths if "=90" not in path]
    around = itertools.cycle([*(small * 10), *paths])
    flood(((path, {}) for path in itertools.islice(around, 3000)), connections)
    before, began = _memory(server), time.perf_counter()
    errors = flood(((path, {}) for path in itertools.islice(around, requests)), connections)
    taken = time.perf_counter() - began
    return (
        f"{requests:,} requests over {connections} connections: {requests / taken:.0f}/s,"
        f" {errors} errors; the server's memory (RSS) was {before:.1f} MB before and"
        f" {_memory(server):.1f} MB after."
    )


def _memory(server: psutil.Process) -> float:
    family = [server, *server.children(recursive=True)]
    return sum(process.memory_info().rss for process in family) / 1e6


if __name__ == "__main__":
    main()
