"""How Apache Spark is reached, and whether it can be, before a run begins.

Spark's own messages are pages of Java; each of these is a sentence that says what to do.
"""

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from dbt_project import ROOT, home
from dbt_project.lake.place import given_path
from dbt_project.messages import HELD, Failure
from dbt_project.settings import BadSetting, lake_path

METHODS = ("session", "thrift", "http")
PORTS = {"thrift": 10_000, "http": 443}
OLDEST_JAVA = 17  # that Spark 4 runs on
PATIENCE_S = 5
LOCAL = r"local(-cluster)?(\[[^]]*\])?"


class SparkFailed(Failure):
    """Spark cannot be used; the message is one sentence, and what to do."""


class WarehouseHeld(SparkFailed):
    status = HELD


def method() -> str:
    """Return how dbt reaches Spark, from SPARK_METHOD. Raises BadSetting for an unknown way."""
    given = os.environ.get("SPARK_METHOD", "").strip() or METHODS[0]
    if given not in METHODS:
        raise BadSetting(f"SPARK_METHOD must be {', '.join(METHODS)}, not {given!r}.")
    return given


def master() -> str:
    """Return the master of a session, from SPARK_MASTER; Spark on this machine without it."""
    return os.environ.get("SPARK_MASTER", "").strip() or "local[*]"


def warehouse() -> Path:
    """Return where a session keeps its tables and their catalog, from SPARK_WAREHOUSE."""
    given = os.environ.get("SPARK_WAREHOUSE", "").strip()
    return Path(given).absolute() if given else home.folder() / "spark"


def environment() -> dict[str, str]:
    """Return the variables of dbt's profile and models that depend on the current folder."""
    lake = {"LAKE_PATH": given_path()} if lake_path() else {}
    return {"SPARK_WAREHOUSE": str(warehouse())} | lake


@contextmanager
def alone() -> Iterator[None]:
    """Keep other sessions from this one's tables, whose catalog serves one process at a time.

    Raises WarehouseHeld.
    """
    if method() != "session":
        yield
        return
    folder = warehouse()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a")
    except OSError as error:
        raise SparkFailed(f"SPARK_WAREHOUSE cannot be used: {error}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WarehouseHeld(
                f"Another run uses Spark's tables in {folder}. Wait for it to end, or let"
                " SPARK_WAREHOUSE name another folder."
            ) from None
        yield


def let_dbt_cancel() -> None:
    """Let dbt end what a session computes when it is interrupted; its adapter only says so."""
    from dbt.adapters.spark.session import SessionConnectionWrapper
    from pyspark import SparkContext

    def cancel(_: object) -> None:
        SparkContext.getOrCreate().cancelAllJobs()

    setattr(SessionConnectionWrapper, "cancel", cancel)  # noqa: B010  mypy forbids to assign it


def check() -> None:
    """Raise Failure unless a run can reach Spark, and the events it is to read."""
    how = method()
    _check_packages(how)
    if how == "session":
        check_java()
        _check_master()
        _check_lake()
    else:
        _check_server(how)


def check_java() -> None:
    """Raise SparkFailed unless the Java that Spark starts is new enough."""
    home = os.environ.get("JAVA_HOME", "")
    java = str(Path(home) / "bin/java") if home else "java"
    where = f"{java}, of JAVA_HOME," if home else "java"
    advice = (
        f"Install Java {OLDEST_JAVA} or newer (on Debian and Ubuntu: openjdk-17-jre-headless), or"
        " let JAVA_HOME name it."
    )
    if not shutil.which(java):
        missing = f"{where} is no program" if home else "there is no java on the PATH"
        raise SparkFailed(f"Spark runs on Java, and {missing}. {advice}")
    try:
        # It tells its version on stderr.
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, errors="replace", timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "does not answer" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise SparkFailed(
            f"Spark runs on Java, and {where} cannot be used: {reason}. {advice}"
        ) from None
    text = told.stderr + told.stdout
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    if told.returncode or not found:
        first = next(
            (line.strip() for line in text.splitlines() if line.strip()), "it says nothing"
        )
        raise SparkFailed(
            f"Spark runs on Java, and {where} does not work: {first.rstrip('.')}. {advice}"
        )
    if int(found[1]) < OLDEST_JAVA:
        raise SparkFailed(
            f"Spark 4 needs Java {OLDEST_JAVA}, and {where} is version {found[1]}. {advice}"
        )


def _check_packages(how: str) -> None:
    session = {"dbt.adapters.spark": "dbt-spark", "pyspark": "pyspark"}
    others = {"dbt.adapters.spark": "dbt-spark", "pyhive": "PyHive", "thrift": "thrift"}
    for module, package in (session if how == "session" else others).items():
        if find_spec(module) is None:
            extra = f"{ROOT}[spark]" if how == "session" else "dbt-spark[PyHive]"
            raise SparkFailed(
                f"{package} is not installed, which --target spark needs. Install it:"
                f" {sys.executable} -m pip install '{extra}'"
            )


def _check_master() -> None:
    """Raise unless one of the masters that SPARK_MASTER names takes connections."""
    given = master()
    if re.fullmatch(LOCAL, given) or given == "yarn":
        return
    url = re.fullmatch(r"(spark|k8s)://(?:https?://)?([^/]+?)/?", given)
    places = [place.rpartition(":") for place in url[2].split(",")] if url else []
    if not url or not all(host and port.isdigit() for host, _, port in places):
        raise BadSetting(
            "SPARK_MASTER must be such as local[2], spark://host:7077, k8s://host:443 or yarn, not"
            f" {given!r}."
        )
    reasons = [_unreachable(host.strip("[]"), int(port)) for host, _, port in places]
    if all(reasons):
        raise SparkFailed(
            f"SPARK_MASTER: {given} cannot be reached: {reasons[-1]}. Check that the master runs,"
            " and the host and the port that its log names."
        )


def _check_server(how: str) -> None:
    host, given = os.environ.get("SPARK_HOST", "").strip(), os.environ.get("SPARK_PORT", "").strip()
    if not host:
        raise BadSetting(f"SPARK_HOST is not set, and SPARK_METHOD={how} needs the cluster's host.")
    if given and not re.fullmatch("[1-9][0-9]{0,4}", given):
        raise BadSetting(f"SPARK_PORT must be a number, not {given!r}.")
    if how == "http" and not os.environ.get("SPARK_TOKEN"):
        raise BadSetting("SPARK_TOKEN is not set, and SPARK_METHOD=http needs a token.")
    port = int(given or PORTS[how])
    if reason := _unreachable(host, port):
        raise SparkFailed(
            f"The Spark cluster at {host}:{port} cannot be reached: {reason}. Check SPARK_HOST,"
            f" SPARK_PORT and that its {'Thrift server' if how == 'thrift' else 'gateway'} runs."
        )


def _check_lake() -> None:
    """Raise BadSetting if a folder of this machine is to be read that has no events.

    What lies elsewhere only Spark can see, which may have other credentials than this process.
    """
    if not lake_path():
        return
    path = given_path()
    if not path.startswith("/"):
        return
    days = Path(path) / "event_logs"
    if not any(days.glob("day=*")):
        what = (
            f"there is no event_logs/day=… in {path}"
            if Path(path).is_dir()
            else f"{path} is no folder"
        )
        raise BadSetting(
            f"LAKE_PATH: {what}. `python cli.py lake export --since DAY` copies the event log"
            " there."
        )


def _unreachable(host: str, port: int) -> str | None:
    """Return why nothing listens at an address, or None if something does."""
    try:
        socket.create_connection((host, port), timeout=PATIENCE_S).close()
    except TimeoutError:
        return f"no answer within {PATIENCE_S} s"
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None
