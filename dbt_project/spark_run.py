"""Runs jobs on Apache Spark, and publishes what it computed to PostgreSQL."""

from datetime import datetime

import psycopg

from dbt_project import limits, our_tables, publish, runner, spark, spark_tables
from dbt_project.database import analytics_schema, dbt_environment, source_schema
from dbt_project.run_log import JobRun
from dbt_project.spark import SparkFailed
from dbt_project.window import Window

TARGET = "spark"


class Spark:
    """The engine for an event log in a lake."""

    def check(
        self, conn: psycopg.Connection, analytics: str, jobs: tuple[str, ...], window: Window
    ) -> None:
        our_tables.check(conn, analytics)
        publish.check_zones(conn, analytics, window.zone.key)

    def event_log(self, conn: psycopg.Connection, window: Window) -> str:
        with runner.in_environment(_environment(conn)), spark_tables.opened() as query:
            return limits.event_log_since(self._first_event(query, window))

    def run(
        self,
        conninfo: str,
        conn: psycopg.Connection,
        runs: list[JobRun],
        window: Window,
        build: runner.Build,
        allow_purged: bool,
    ) -> None:
        if spark.method() == "session":
            spark.let_dbt_cancel()
        environment, schema = _environment(conn), analytics_schema()
        build(environment, target=TARGET)
        with runner.in_environment(environment), spark_tables.opened() as query:

            def agree(stored: publish.Stored) -> None:
                """Compute what pools stored days from those that PostgreSQL stores."""
                if spark_tables.agree(query, schema, *stored):
                    build(environment, target=TARGET, only=publish.POOLED)
                    if any(run.job_name == "experiment" and not run.ok for run in runs):
                        raise SparkFailed("The read-outs of the stored days failed")

            computed = any(run.ok and not run.idle for run in runs)
            begins = self._first_event(query, window) if computed else None
            publish.publish_runs(
                conninfo, schema, runs, spark_tables.reader(query, schema, window), window,
                begins=begins, allow_purged=allow_purged, agree=agree,
            )  # fmt: skip

    def _first_event(self, query: spark_tables.Query, window: Window) -> datetime | None:
        return spark_tables.first_event(query, source_schema(), window.as_of)


def _environment(conn: psycopg.Connection) -> dict[str, str]:
    return dbt_environment(conn) | spark.environment()
