"""Measure the time of each job's statements in the database, without dbt's own time."""

import json
from collections import defaultdict
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from dbt_project import runner
from dbt_project.database import dbt_environment
from dbt_project.window import JOBS


def sql_seconds(
    conn: psycopg.Connection,
    as_of: str,
    window_days: int,
    models: tuple[str, ...] = JOBS,
    **variables: Any,
) -> dict[str, float]:
    """Run the models, one after the other; return the seconds of SQL of each job and each model."""
    seconds: dict[str, float] = defaultdict(float)

    def on_event(event: Any) -> None:
        if event.info.name == "SQLQueryStatus":
            node = event.data.node_info
            folder = node.node_path.partition("/")[0]
            if folder in JOBS:
                seconds[folder] += event.data.elapsed
                seconds[node.node_name] += event.data.elapsed

    given = json.dumps({"as_of": as_of, "window_days": window_days, **variables})
    command = ["run", "--select", *models, "--threads", "1", "--vars", given, *runner.QUIET]
    # dbt's parse cache depends on the variables: do not replace the cache of ordinary runs.
    with TemporaryDirectory() as target:
        outcome = runner.dbt(
            [*command, "--target-path", target], dbt_environment(conn), callbacks=[on_event]
        )
    if not outcome.success:
        raise RuntimeError(outcome.exception or "a model failed")
    return dict(seconds)
