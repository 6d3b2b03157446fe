"""Spark in processes of its own: a standalone cluster's master and workers, or a Thrift server."""

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

import spark_here

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
SERVES = re.compile(r"Starting ThriftBinaryCLIService on port (\d+) ")
# Its zone is not UTC, and what it overwrites it overwrites whole.
SERVER = f"""
{spark_here.DEFAULTS}
spark.master local[2]
spark.driver.extraJavaOptions -Duser.timezone=America/New_York -Dderby.stream.error.file=/dev/null
spark.sql.shuffle.partitions 4
spark.sql.warehouse.dir {{folder}}/tables
spark.hadoop.javax.jdo.option.ConnectionURL jdbc:derby:;create=true;databaseName={{folder}}/catalog
spark.ui.enabled false
"""
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
        started = _daemon(folder, "master", "master.Master", "--port", "0")
        processes.append(started)
        master = _logged(folder / "master.log", STARTED, started)[1]
        for number in range(workers):
            name = f"worker-{number}"
            limits = ("--cores", "1", "--memory", "1g", "--work-dir", folder / name)
            processes.append(_daemon(folder, name, "worker.Worker", *limits, master))
            _logged(folder / f"{name}.log", REGISTERED, processes[-1])
        yield Cluster(master, processes[1:], folder)
    finally:
        for process in reversed(processes):
            _kill(process)


@contextmanager
def thrift_server(folder: Path) -> Iterator[int]:
    """Run a Thrift server that keeps its tables in `folder`; yield its port."""
    (folder / "spark-defaults.conf").write_text(SERVER.format(folder=folder))
    process = _start(
        folder, "thrift", "spark-submit", "--class",
        "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal",
        "--hiveconf", "hive.server2.thrift.port=0",
        "--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1",
    )  # fmt: skip
    try:
        yield int(_logged(folder / "thrift.log", SERVES, process)[1])
    finally:
        _kill(process)


def _daemon(folder: Path, name: str, what: str, *arguments: object) -> subprocess.Popen:
    host = ("--host", "127.0.0.1", "--webui-port", "0")
    what = f"org.apache.spark.deploy.{what}"
    return _start(folder, name, "spark-class", what, *host, *arguments, memory="256m")


def _start(
    folder: Path, name: str, program: str, *arguments: object, memory: str = "1g"
) -> subprocess.Popen:
    """Start a program of the pyspark wheel in the foreground; its log is `name`.log."""
    spec = find_spec("pyspark")
    assert spec and spec.origin
    home = Path(spec.origin).parent
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [home / "bin" / program, *map(str, arguments)],
            env={**os.environ, "SPARK_HOME": str(home), "SPARK_CONF_DIR": str(folder),
                 "SPARK_DAEMON_MEMORY": memory, "SPARK_LOCAL_IP": "127.0.0.1"},
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
