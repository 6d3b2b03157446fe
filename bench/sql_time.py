"""Measure the time of each job's statements in the database, without dbt's own time."""

import json
from collections import defaultdict
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from dbt_project import runner
from dbt_project.database import dbt_environment
from dbt_project.window import JOBS


def sql_seconds(conn: psycopg.Connection, as_of: str, window_days: int) -> dict[str, float]:
    """Run the models of all jobs, one after the other; return each job's seconds of SQL."""
    seconds: dict[str, float] = defaultdict(float)

    def on_event(event: Any) -> None:
        if event.info.name == "SQLQueryStatus":
            folder = event.data.node_info.node_path.partition("/")[0]
            if folder in JOBS:
                seconds[folder] += event.data.elapsed

    variables = json.dumps({"as_of": as_of, "window_days": window_days})
    command = ["run", "--select", *JOBS, "--threads", "1", "--vars", variables, *runner.QUIET]
    # dbt's parse cache depends on the variables: do not replace the cache of ordinary runs.
    with TemporaryDirectory() as target:
        outcome = runner.dbt(
            [*command, "--target-path", target], dbt_environment(conn), callbacks=[on_event]
        )
    if not outcome.success:
        raise RuntimeError(outcome.exception or "a model failed")
    return dict(seconds)
