"""What keeps a run on Spark from starting: each in a sentence, and none in a stack of Java."""

import importlib.util
import os
import re
import socket
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from dbt_project import runner, spark, spark_tables
from dbt_project.messages import Failure

VARIABLES = ("METHOD", "HOST", "PORT", "TOKEN", "MASTER", "USER")


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    """Everything is installed, and nothing is set."""
    for name in (
        *(f"SPARK_{name}" for name in VARIABLES),
        "LAKE_PATH",
        "JAVA_HOME",
        "SPARK_WAREHOUSE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(spark, "find_spec", lambda name: name)
    monkeypatch.setattr(spark, "PATIENCE_S", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}/usr/bin{os.pathsep}/bin")


@pytest.fixture
def java(tmp_path):
    """Write a `java` that prints what it is given on stderr, and ends with a status."""

    def write(text, status=0, folder=tmp_path / "bin"):
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "java"
        program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{text}\nEND\nexit {status}\n")
        program.chmod(0o755)

    return write


@pytest.fixture
def listener():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def refusal():
    with pytest.raises(Failure) as refused:
        spark.check()
    text = str(refused.value)
    assert "\n" not in text and len(text) < 400
    return text


@pytest.mark.parametrize(
    "told",
    ['openjdk version "17.0.15" 2025-04-15', 'java version "21" 2023-09-19 LTS',
     'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "25-ea" 2025-09-16'],
)  # fmt: skip
def test_java_that_is_new_enough(java, told):
    java(told)
    spark.check()


@pytest.mark.parametrize(
    ("told", "version"),
    [('java version "1.8.0_392"', 8), ('openjdk version "11.0.2" 2019-01-15', 11),
     ('openjdk version "16" 2021-03-16', 16)],
)  # fmt: skip
def test_old_java(java, told, version):
    java(told)
    assert refusal() == (
        f"Spark 4 needs Java 17, and java is version {version}. Install Java 17 or newer (on Debian"
        " and Ubuntu: openjdk-17-jre-headless), or let JAVA_HOME name it."
    )


def test_no_java(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal().startswith(
        "Spark runs on Java, and there is no java on the PATH. Install Java 17 or newer"
    )


def test_java_home_counts_before_the_path(java, tmp_path, monkeypatch):
    java('openjdk version "17.0.1"')
    java('openjdk version "11.0.1"', folder=tmp_path / "old/bin")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    assert f"{tmp_path}/old/bin/java, of JAVA_HOME, is version 11." in refusal()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    assert f"{tmp_path}/gone/bin/java, of JAVA_HOME, is no program." in refusal()


def test_java_that_does_not_work(java):
    # As macOS has it where no Java is installed.
    java("The operation could not be completed. Unable to locate a Java Runtime.", status=1)
    assert "java does not work: The operation could not be completed." in refusal()
    java("")
    assert "java does not work: it says nothing." in refusal()


@pytest.mark.parametrize(
    ("method", "missing", "package"),
    [("session", "dbt.adapters.spark", "dbt-spark"), ("session", "pyspark", "pyspark"),
     ("thrift", "dbt.adapters.spark", "dbt-spark"), ("http", "pyhive", "PyHive")],
)  # fmt: skip
def test_missing_package(monkeypatch, method, missing, package):
    monkeypatch.setenv("SPARK_METHOD", method)
    monkeypatch.setattr(spark, "find_spec", lambda name: None if name == missing else name)
    text = refusal()
    assert text.startswith(f"{package} is not installed, which --target spark needs.")
    assert re.search(r"-m pip install '.+\[\w+\]'$", text)


def test_packages_are_looked_for_where_they_are_installed():
    assert importlib.util.find_spec("dbt.adapters.postgres")


def test_unknown_method(monkeypatch):
    monkeypatch.setenv("SPARK_METHOD", "odbc")
    assert refusal() == "SPARK_METHOD must be session, thrift, http, not 'odbc'."


@pytest.mark.parametrize("master", ["", "local", "local[2]", "local[*, 3]", "yarn"])
def test_masters_that_need_no_look(java, monkeypatch, master):
    java('openjdk version "17"')
    monkeypatch.setenv("SPARK_MASTER", master)
    spark.check()


def test_master_that_listens(java, monkeypatch, listener):
    java('openjdk version "17"')
    for master in (f"spark://127.0.0.1:{listener}", f"spark://127.0.0.1:1,localhost:{listener}",
                   f"k8s://https://127.0.0.1:{listener}"):  # fmt: skip
        monkeypatch.setenv("SPARK_MASTER", master)
        spark.check()


@pytest.mark.parametrize(
    ("master", "words"),
    [
        ("spark://127.0.0.1:1", "spark://127.0.0.1:1 cannot be reached: Connection refused. Check"),
        ("spark://nowhere.invalid:7077", "cannot be reached: "),
        ("spark://a-host", "SPARK_MASTER must be such as local[2], spark://host:7077,"),
        ("mesos://host:5050", "not 'mesos://host:5050'."),
        ("two", "not 'two'."),
    ],
)
def test_master_that_cannot_be_used(java, monkeypatch, master, words):
    java('openjdk version "17"')
    monkeypatch.setenv("SPARK_MASTER", master)
    assert words in refusal()


@pytest.mark.parametrize("method", ["thrift", "http"])
def test_cluster(monkeypatch, listener, method):
    monkeypatch.setenv("SPARK_METHOD", method)
    assert refusal() == (
        f"SPARK_HOST is not set, and SPARK_METHOD={method} needs the cluster's host."
    )
    monkeypatch.setenv("SPARK_HOST", "127.0.0.1")
    monkeypatch.setenv("SPARK_PORT", "1")
    if method == "http":
        assert refusal() == "SPARK_TOKEN is not set, and SPARK_METHOD=http needs a token."
        monkeypatch.setenv("SPARK_TOKEN", "s3cret")
    assert refusal().startswith(
        "The Spark cluster at 127.0.0.1:1 cannot be reached: Connection refused. Check SPARK_HOST,"
    )
    monkeypatch.setenv("SPARK_PORT", "ten")
    assert refusal() == "SPARK_PORT must be a number, not 'ten'."
    monkeypatch.setenv("SPARK_PORT", f"{listener}")
    spark.check()


def test_cluster_that_does_not_answer_is_given_up(monkeypatch):
    # A server that accepts nobody, with its only place taken.
    with closing(socket.socket()) as server, closing(socket.socket()) as first:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        first.connect(server.getsockname())
        monkeypatch.setenv("SPARK_METHOD", "thrift")
        monkeypatch.setenv("SPARK_HOST", "127.0.0.1")
        monkeypatch.setenv("SPARK_PORT", f"{server.getsockname()[1]}")
        began = time.monotonic()
        with closing(socket.socket()) as second:
            second.setblocking(False)
            second.connect_ex(server.getsockname())
            assert "cannot be reached: no answer within 0.2 s." in refusal()
        assert time.monotonic() - began < 2


def test_lake_without_events(java, monkeypatch, tmp_path):
    java('openjdk version "17"')
    lake = tmp_path / "a lake"
    monkeypatch.setenv("LAKE_PATH", str(lake))
    assert refusal() == (
        f"LAKE_PATH: {lake} is no folder. `python cli.py lake export --since DAY` copies the event"
        " log there."
    )
    (lake / "event_logs").mkdir(parents=True)
    assert f"LAKE_PATH: there is no event_logs/day=… in {lake}." in refusal()
    (lake / "event_logs/day=2026-11-24").mkdir()
    spark.check()
    monkeypatch.setenv("LAKE_PATH", "s3a://bucket/folder")
    spark.check()


def test_run_is_refused_before_anything_else(java, cli, monkeypatch, tmp_path):
    java('openjdk version "17"')
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("LAKE_PATH", str(tmp_path / "nothing"))
    outcome = cli("--target", "spark", "--json")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"Error: LAKE_PATH: {tmp_path}/nothing is no folder.")
    assert outcome.summary == {"ok": False, "error": outcome.stderr.strip()[7:]}
    plan = cli("--target", "spark", "--dry-run", "--json")
    assert plan.exit_code == 0 and plan.summary["target"] == "spark"


def test_one_session_at_a_time_uses_a_warehouse(java, cli, monkeypatch, tmp_path):
    java('openjdk version "17"')
    monkeypatch.setenv("SPARK_WAREHOUSE", str(tmp_path / "the tables"))
    with spark.alone():
        outcome = cli("--target", "spark", "--job", "daily")
        assert outcome.exit_code == 3
        assert outcome.stderr == (
            f"Error: Another run uses Spark's tables in {tmp_path}/the tables. Wait for it to end,"
            " or let SPARK_WAREHOUSE name another folder.\n"
        )
        monkeypatch.setenv("SPARK_METHOD", "thrift")  # whose server serves many
        with spark.alone():
            pass
    monkeypatch.setenv("SPARK_METHOD", "session")
    with spark.alone():
        pass
    monkeypatch.setenv("SPARK_WAREHOUSE", "/proc/nothing")
    with pytest.raises(Failure, match=r"^SPARK_WAREHOUSE cannot be used: "), spark.alone():
        pass


def test_values_that_agree_are_not_written_again():
    """What PostgreSQL and Spark write as text differs for the same number and time."""
    kinds = {"day": "date", "x": "double precision", "at": spark_tables.TIME, "computed_at": "text"}
    day = "2026-11-21"
    ours = [[day, "1e-05", "infinity", "a"], [day, "NaN", "2026-11-21 00:00:00+00", "a"]]
    theirs = [[day, "1.0E-5", "253402300799999999", "b"], [day, "NaN", "1795219200000000", "b"]]
    stored = spark_tables._by_day((spark_tables._for_spark(row, kinds) for row in ours), kinds)
    computed = spark_tables._by_day(theirs, kinds)
    assert stored.keys() == computed.keys() == {day}
    assert stored[day].keys() == computed[day].keys() and len(stored[day]) == 2


@pytest.mark.parametrize(
    ("message", "reason"),
    [("Database Error\n  [TABLE_NOT_FOUND] No t.\n\tat org.apache", "[TABLE_NOT_FOUND] No t."),
     ("Connection reset", "Connection reset"), ("", "ValueError")],
)  # fmt: skip
def test_reason_is_the_line_that_tells(message, reason):
    assert spark_tables._reason(ValueError(message)) == reason


def test_reason_of_a_thrift_server():
    status = SimpleNamespace(errorMessage="Error running query: No t.", infoMessages=["at A"] * 50)
    error = Exception(SimpleNamespace(status=status))
    assert spark_tables._reason(error) == "Error running query: No t."


def test_what_java_called_is_not_told():
    told = (
        "An error occurred while calling o335.collectToPython.\n: org.apache.spark.SparkException:"
        " [FAILED_READ_FILE] Cannot read a.parquet.\n\tat org.apache.spark.A$.f(A.scala:920)\n\tat"
        " java.base/java.lang.Thread.run(Thread.java:840)\nCaused by: java.lang.RuntimeException:"
        " not a Parquet file\n\tat org.B.<init>(B.java:9)\n\t... 23 more\n"
    )
    wanted = [
        "An error occurred while calling o335.collectToPython.",
        ": org.apache.spark.SparkException: [FAILED_READ_FILE] Cannot read a.parquet.",
        "Caused by: java.lang.RuntimeException: not a Parquet file",
    ]
    assert runner._lines(told) == wanted
    assert runner._told(Exception(told)).splitlines() == wanted
    assert runner._lines("plan\n" * 30)[-2:] == ["plan", "… The rest is in dbt's log."]
