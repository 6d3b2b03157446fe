"""A standalone Spark cluster, of which a machine fails in mid-run."""

import json
from datetime import timedelta

import pytest
import spark_here
from chaos_helpers import log, start
from commands import end
from edges import awkward
from spark_cluster import cluster
from tables import NOW, TODAY, differences, stored

pytestmark = [pytest.mark.chaos, spark_here.required]
SECONDS = 1200
WINDOW = ("2026-11-10", "2026-11-23")
HISTORY = ("2026-05-27", "2026-11-10")
EXPORT = ("lake", "export", "--since", TODAY - timedelta(days=181))


def test_a_lost_worker_changes_no_row(source, run, cli, database_url, folder, monkeypatch):
    awkward(source, NOW)
    assert run().exit_code == 0
    wanted = stored(source.conn)
    source.do("drop schema analytics cascade")
    monkeypatch.setenv("LAKE_PATH", str(folder / "lake"))
    assert cli(*EXPORT).exit_code == 0
    with cluster(folder) as spark:
        settings = {**spark.settings, "SPARK_WAREHOUSE": str(folder / "spark")}

        outcome = end(start(database_url, "--target", "spark", **settings), SECONDS)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        assert differences(stored(source.conn), wanted) == []
        assert {task["Task Info"]["Executor ID"] for task in spark.events("TaskEnd")} == {"0", "1"}
        assert not spark.events("ExecutorRemoved")
        queries = spark.scans()
        # All reads name days, of 180; what lies before the window is read once by each query.
        assert {len(days) for query in queries for days in query} == {2}
        starts = [sorted(first for first, _ in query) for query in queries]
        assert min(starts)[0] == HISTORY[0]
        assert all(HISTORY[0] not in query[1:] for query in starts)
        assert [WINDOW] in queries and any(HISTORY in query for query in queries)

        source.do("drop schema analytics cascade")
        process = start(database_url, "--target", "spark", **settings)
        assert process.stderr
        shown = next((line for line in process.stderr if "ok   model" in line), None)
        spark.kill_worker()
        outcome = end(process, SECONDS)
        assert shown and spark.events("ExecutorRemoved")
        if outcome.exit_code:
            # Spark gave up, so nothing may look new.
            failed = {row["job_name"] for row in log(source.conn) if row["status"] == "FAILED"}
            told = json.loads(outcome.stdout.splitlines()[-1])["jobs"]
            assert failed == {job["job_name"] for job in told if job["errors"]} != set()
            outcome = end(start(database_url, "--target", "spark", **settings), SECONDS)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        assert differences(stored(source.conn), wanted) == []
