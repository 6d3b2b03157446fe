"""`--target spark` as a whole: what it publishes is what the same runs of dbt write."""

import json
import math
from datetime import datetime, timedelta

import spark_here
from commands import end, start
from psycopg import sql
from tables import NOW

from dbt_project.publish import rollups

pytestmark = spark_here.required
JOBS = ("experiment",)  # the one that needs most: stored days, and tables rewritten whole
EARLIER = NOW - timedelta(days=8)
# Settings of a small machine; to compile code takes longer than so few rows.
DEFAULTS = """
spark.driver.memory 1g
spark.sql.shuffle.partitions 2
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
"""


def at(days_ago, hour=12):
    return datetime(2026, 11, 23, hour) - timedelta(days=days_ago)


def contents(conn, schema):
    """The rows of the jobs' tables, by table and key."""
    query = "select to_jsonb(rollup) - 'computed_at' from {} as rollup"
    found = {}
    for job in JOBS:
        for rollup in rollups(job):
            table = sql.SQL(query).format(sql.Identifier(schema, rollup.name))
            for (row,) in conn.execute(table):
                found[rollup.name, *(row[name] for name in rollup.key)] = row
    return found


def same(one, other):
    """Whether two values of JSON are equal, numbers to nine digits."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def test_history_of_postgres_goes_on_on_spark(source, database_url, run, tmp_path, monkeypatch):
    """Runs of PostgreSQL stored days that Spark never saw; the read-outs need all of them."""
    source.experiment("x", ("A", "B"), start_at=at(60), end_at="infinity")
    for nth in range(80):
        user, first = f"user '{nth}'\\", 19 - nth % 20
        source.assign(user, "x", "AB"[nth // 2 % 2], at(first, 9))
        for ago in {first, max(first - 1, 0), max(first - nth % 7, 0)}:
            source.event(at(ago, 10), "app_opened", user, mapping={"x": "AB"[nth // 2 % 2]})
            if nth % 3:
                source.event(at(ago, 13), "session_submitted", user)
    selected = [part for job in JOBS for part in ("--job", job)]
    for schema in ("by_dbt", "analytics"):
        monkeypatch.setenv("ANALYTICS_SCHEMA", schema)
        assert run(*selected, as_of=EARLIER).exit_code == 0
    source.event(at(3), "session_submitted", "user '3'\\", received=NOW)
    monkeypatch.setenv("ANALYTICS_SCHEMA", "by_dbt")
    by_dbt = run("--window-days", 4, *selected)
    assert by_dbt.exit_code == 0
    monkeypatch.setenv("ANALYTICS_SCHEMA", "analytics")

    (tmp_path / "spark-defaults.conf").write_text(DEFAULTS)
    environment = {
        "LAKE_PATH": str(tmp_path / "a lake"), "SPARK_CONF_DIR": str(tmp_path),
        "SPARK_WAREHOUSE": str(tmp_path / "tables of spark"), "SPARK_MASTER": "local[2]",
    }  # fmt: skip
    exported = end(start(database_url, "lake", "export", "--since", "2026-05-01", **environment))
    assert exported.exit_code == 0, exported.stderr
    # Spark does not need the source, which now is elsewhere.
    source.do("drop table event_logs, assignments, experiments, experiment_variants")
    arguments = ["--target", "spark", "--json", "--as-of", f"{NOW}+00:00", "--window-days", 4]
    done = end(start(database_url, *arguments, *selected, **environment), 900)
    assert done.exit_code == 0, done.stderr + done.stdout
    summary = json.loads(done.stdout.splitlines()[-1])
    for job, expected in zip(summary["jobs"], by_dbt.summary["jobs"], strict=True):
        assert {**job, "seconds": 0} == {**expected, "seconds": 0}
    ours, theirs = contents(source.conn, "analytics"), contents(source.conn, "by_dbt")
    assert ours.keys() == theirs.keys()
    different = [
        (key, name, value, theirs[key][name])
        for key, row in ours.items()
        for name, value in row.items()
        if not same(value, theirs[key][name])
    ]
    assert different == []
    [readout] = [row for key, row in ours.items() if key[:4:3] == ("experiment_readouts", "B")
                 and row["metric_name"] == "logged_24h"]  # fmt: skip
    assert readout["cohort_days"] > 4  # of the window
    logged = "select status, rows_written from analytics.rollup_runs order by started_at"
    rows = [job["rows_written"] for job in summary["jobs"]]
    assert source.conn.execute(logged).fetchall()[1:] == [("SUCCESS", *rows)]
