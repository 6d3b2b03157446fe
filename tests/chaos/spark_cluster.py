"""A standalone Spark cluster on this machine: a master and workers, each a process of its own."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

# What every client of the cluster gets: one core and little memory for each executor. To compile
# code would take longer than so few rows.
CLIENT = """
spark.driver.host 127.0.0.1
spark.driver.memory 1g
spark.executor.cores 1
spark.executor.memory 768m
spark.sql.shuffle.partitions 2
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.eventLog.enabled true
spark.eventLog.compress false
spark.eventLog.rolling.enabled false
spark.eventLog.dir file://{folder}
spark.sql.maxPlanStringLength 1000
"""
STARTED = re.compile(r"Starting Spark master at (spark://\S+)")
DAY = re.compile(r"day#\d+ [<>]= (\d{4}-\d\d-\d\d)")
REGISTERED = re.compile("Successfully registered with master")
PATIENCE_S = 120


@dataclass
class Cluster:
    """Running processes, and the settings of clients in `folder`."""

    master: str
    workers: list[subprocess.Popen]
    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a client."""
        return {
            "SPARK_MASTER": self.master,
            "SPARK_CONF_DIR": str(self.folder),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def kill_worker(self) -> None:
        """Kill a worker and its executors, as when a machine loses power."""
        _kill(self.workers.pop())

    def events(self, name: str, package: str = "") -> list[dict]:
        """What Spark noted under a name in all runs of clients so far, such as ExecutorAdded."""
        found, begins = [], f'{{"Event":"{package}SparkListener{name}"'
        for path in self.folder.glob("app-*"):
            for line in path.read_text().splitlines():
                # The last line may be half written.
                if line.startswith(begins) and line.endswith("}"):
                    found.append(json.loads(line))
        return found

    def scans(self) -> list[list[tuple[str, ...]]]:
        """The first and last day of each read of the event log, by query, as it was carried out."""
        plans = {}
        for plan in self.events("SQLAdaptiveExecutionUpdate", "org.apache.spark.sql.execution.ui."):
            plans[plan["executionId"]] = plan["sparkPlanInfo"]  # the last one is what was done
        return [found for plan in plans.values() if (found := list(_scans(plan)))]


def _scans(node: dict) -> Iterator[tuple[str, ...]]:
    if "/event_logs]" in node["metadata"].get("Location", ""):
        yield tuple(DAY.findall(node["metadata"]["PartitionFilters"]))
    # What is read again is shown below the node that reads it.
    if not node["nodeName"].startswith("ReusedExchange"):
        for child in node["children"]:
            yield from _scans(child)


@contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """Run a master and workers of one core each, which keep their files in `folder`."""
    (folder / "spark-defaults.conf").write_text(CLIENT.format(folder=folder))
    processes = []
    try:
        started = _start(folder, "master", "master.Master", "--port", "0")
        processes.append(started)
        master = _logged(folder / "master.log", STARTED, started)[1]
        for number in range(workers):
            name = f"worker-{number}"
            limits = ("--cores", "1", "--memory", "1g", "--work-dir", folder / name)
            processes.append(_start(folder, name, "worker.Worker", *limits, master))
            _logged(folder / f"{name}.log", REGISTERED, processes[-1])
        yield Cluster(master, processes[1:], folder)
    finally:
        for process in reversed(processes):
            _kill(process)


def _start(folder: Path, name: str, what: str, *arguments: object) -> subprocess.Popen:
    """Start a daemon of the pyspark wheel in the foreground, on free ports."""
    spec = find_spec("pyspark")
    assert spec and spec.origin
    home = Path(spec.origin).parent
    host = ("--host", "127.0.0.1", "--webui-port", "0")
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [home / "bin/spark-class", f"org.apache.spark.deploy.{what}", *host,
             *map(str, arguments)],
            env={**os.environ, "SPARK_HOME": str(home), "SPARK_CONF_DIR": str(folder),
                 "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOCAL_IP": "127.0.0.1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def _logged(log: Path, wanted: re.Pattern[str], process: subprocess.Popen) -> re.Match[str]:
    """Wait for a line in a daemon's log."""
    patience = time.monotonic() + PATIENCE_S
    while time.monotonic() < patience and process.poll() is None:
        if found := wanted.search(log.read_text()):
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {wanted.pattern!r} in:\n{log.read_text()}")


def _kill(process: subprocess.Popen) -> None:
    """Kill a daemon and what it started, which is of its process group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
