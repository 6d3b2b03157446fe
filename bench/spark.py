"""Measure the models on Apache Spark: `python -m bench.spark --help`."""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bench import AS_OF
from dbt_project import ROOT
from dbt_project.report import table
from dbt_project.window import JOBS

# Enough memory for any size: what a query cannot hold in it, Spark spills to the disk. The bytes of
# vectored reads are not counted.
CONFIGURATION = """
spark.driver.memory 2g
spark.hadoop.parquet.hadoop.vectored.io.enabled false
spark.eventLog.enabled true
spark.eventLog.compress false
spark.eventLog.rolling.enabled false
spark.eventLog.dir file://{folder}
spark.sql.maxPlanStringLength 1000
"""
OF_HISTORY = timedelta(days=180)


@dataclass
class Measured:
    """One run. `seconds` are those of a clock, `cpu` those of all cores in Spark's tasks."""

    master: str
    log: int
    window_days: int
    window: int = 0
    history: int = 0
    seconds: float = 0
    cpu: float = 0
    read: int = 0
    jobs: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@click.command()
@click.argument("events", type=int, nargs=-1, required=True)
@click.option("--lakes", type=click.Path(path_type=Path), default="/tmp/bench_lakes")
@click.option("--master", "masters", multiple=True, default=("local[1]", "local[2]"))
@click.option("--window-days", "windows", type=int, multiple=True, default=(14, 90))
def main(
    events: tuple[int, ...], lakes: Path, masters: tuple[str, ...], windows: tuple[int, ...]
) -> None:
    """Time whole builds of lakes with EVENTS events in 180 days; split the time into its parts.

    The parts are what a run costs in any case, what it costs per event of the window, and per event
    of the history before it, in which a run looks for the first events of users. Two windows or
    more tell the last two apart. The lakes are made below --lakes, and kept for later runs.
    """
    runs = []
    for size in events:
        _lake(lakes / str(size), size)
        # Creates the tables, which later runs overwrite.
        with TemporaryDirectory() as warehouse:
            _measure(Measured(masters[-1], size, 1), lakes, warehouse)
            for master, window_days in product(masters, windows):
                runs.append(_measure(Measured(master, size, window_days), lakes, warehouse))
                click.echo(runs[-1], err=True)
    click.echo(_measurements(runs))
    click.echo(_parts(runs))


def _lake(folder: Path, size: int) -> None:
    if not folder.exists():
        command = [sys.executable, "-m", "bench.lake", str(size), str(folder)]
        subprocess.run(command, cwd=ROOT, check=True)


def _measure(run: Measured, lakes: Path, warehouse: str) -> Measured:
    """Run all jobs once, one model at a time; fill in what it took."""
    run.window, run.history = _events(lakes / str(run.log), run.window_days)
    with TemporaryDirectory() as folder:
        Path(folder, "spark-defaults.conf").write_text(CONFIGURATION.format(folder=folder))
        Path(folder, "profiles.yml").write_text((ROOT / "profiles.yml.example").read_text())
        variables = json.dumps({"as_of": AS_OF, "window_days": run.window_days})
        command = [
            str(Path(sys.executable).with_name("dbt")), "--quiet", "build",
            "--target", "spark", "--threads", "1", "--target-path", f"{folder}/target",
            "--vars", variables, "--exclude-resource-type", "unit_test",
        ]  # fmt: skip
        environment = {
            **os.environ,
            "DBT_PROFILES_DIR": folder,
            "LAKE_PATH": str(lakes / str(run.log)),
            "SPARK_CONF_DIR": folder,
            "SPARK_MASTER": run.master,
            "SPARK_WAREHOUSE": warehouse,
        }
        began = time.perf_counter()
        outcome = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        run.seconds = time.perf_counter() - began
        if outcome.returncode:
            raise click.ClickException(outcome.stdout + outcome.stderr)
        for job, seconds in _seconds(Path(folder, "target/run_results.json")):
            run.jobs[job] += seconds
        for metrics in _tasks(Path(folder)):
            run.cpu += metrics["Executor CPU Time"] / 1e9
            run.read += metrics["Input Metrics"]["Bytes Read"]
    return run


def _events(lake: Path, window_days: int) -> tuple[int, int]:
    """Return how many events a lake has on the days of the window, and before in 180 days."""
    from pyarrow import parquet  # optional

    as_of = datetime.fromisoformat(AS_OF)
    first = as_of.date() - timedelta(days=window_days - 1)
    found = {True: 0, False: 0}
    for path in lake.glob("event_logs/day=*/*.parquet"):
        day = datetime.fromisoformat(path.parent.name.removeprefix("day=")).date()
        if day >= (as_of - OF_HISTORY).date():
            found[day >= first] += parquet.read_metadata(path).num_rows
    return found[True], found[False]


def _seconds(results: Path) -> Iterator[tuple[str, float]]:
    """Return the job and the seconds of each model that dbt ran."""
    for result in json.loads(results.read_text())["results"]:
        name = result["unique_id"].rpartition(".")[2]
        for path in (ROOT / "models").glob(f"*/{name}.sql"):
            yield path.parent.name, result["execution_time"]


def _tasks(folder: Path) -> Iterator[dict]:
    """Return the metrics of every task in Spark's event log."""
    for path in folder.glob("local-*"):
        with path.open() as lines:
            for line in lines:
                if '"SparkListenerTaskEnd"' in line:
                    yield json.loads(line)["Task Metrics"]


def _measurements(runs: Sequence[Measured]) -> str:
    header = ("master", "log", "window days", "window", "history", "run s", "CPU s", "MB read",
              *(f"{job} s" for job in JOBS))  # fmt: skip
    rows = [
        (
            run.master,
            f"{run.log:,}",
            str(run.window_days),
            f"{run.window:,}",
            f"{run.history:,}",
            *(f"{number:.1f}" for number in (run.seconds, run.cpu, run.read / 1e6)),
            *(f"{run.jobs[job]:.1f}" for job in JOBS),
        )
        for run in runs
    ]
    return table(header, rows)


def _parts(runs: Sequence[Measured]) -> str:
    """Fit each measure by least squares."""
    rows = []
    for master in dict.fromkeys(run.master for run in runs):
        of = [run for run in runs if run.master == master]
        measures = {
            "run s": [run.seconds for run in of],
            "CPU s": [run.cpu for run in of],
            "MB read": [run.read / 1e6 for run in of],
            **{f"{job} s": [run.jobs[job] for run in of] for job in JOBS},
        }
        for name, values in measures.items():
            parts, error = _fit(of, values)
            rows.append((master, name, *(f"{part:.2f}" for part in parts), f"{error:.0%}"))
    header = ("master", "of", "fixed", "per million of window", "per million of history", "error")
    return table(header, rows)


def _fit(runs: Sequence[Measured], values: Sequence[float]) -> tuple[list[float], float]:
    """Return the three parts, and the largest error relative to the value."""
    import numpy  # comes with the tests' scipy

    causes = numpy.array([(1, run.window / 1e6, run.history / 1e6) for run in runs])
    # Relative errors count, or the largest log alone would decide.
    weights = 1 / numpy.array(values)
    parts = numpy.linalg.lstsq(causes * weights[:, None], numpy.ones(len(runs)), rcond=None)[0]
    return [float(part) for part in parts], float(max(abs(causes @ parts * weights - 1)))


if __name__ == "__main__":
    main()
