"""One run of the jobs from the command line, with retries of what fails for the moment only."""

import time
from collections.abc import Callable, Collection
from contextlib import closing

import psycopg

from dbt_project import preflight, run_log, runner, stop, transient
from dbt_project.database import analytics_schema, connect, dbt_environment, source_schema
from dbt_project.jobs import JOBS
from dbt_project.run_log import JobRun
from dbt_project.runner import Step
from dbt_project.window import Window


def run_jobs(
    conninfo: str,
    window: Window,
    jobs: Collection[str],
    on_step: Callable[[Step], None],
    say: Callable[[str], None],
    allow_purged: bool = False,
) -> list[JobRun]:
    """Run the jobs; return the last run of each, in the order of `jobs`.

    A job changes nothing when it is run twice, so those that failed by what passes by itself
    are run again as a whole, each time with a row of its own in the run log. `say` is told
    before every wait.
    """
    last: dict[str, JobRun] = {}
    again = tuple(jobs)
    for wait in (*transient.WAITS_S, None):
        try:
            across = _all_others_ok(last, again)
            runs = _attempt(conninfo, window, again, on_step, across, allow_purged)
        except psycopg.Error as error:
            if wait is None or not transient.is_transient(error):
                raise
            reason = str(error)
        else:
            last |= {run.job_name: run for run in runs}
            failed = [run for run in runs if run.is_transient]
            if wait is None or not failed:
                break
            again = tuple(run.job_name for run in failed)
            reason = failed[0].errors[0]
        said = " ".join(reason.partition("SQL:")[0].split()).rstrip(".")
        say(f"{said}. Trying {', '.join(again)} again in {wait} s.")
        with stop.allowed():
            time.sleep(wait)
    return [last[job] for job in jobs]


def _attempt(
    conninfo: str,
    window: Window,
    jobs: tuple[str, ...],
    on_step: Callable[[Step], None],
    across: bool,
    allow_purged: bool,
) -> list[JobRun]:
    with stop.allowed():
        conn = connect(conninfo, autocommit=True)
    with closing(conn):
        with stop.allowed():
            preflight.check(conn, source_schema(), analytics_schema())
            run_log.create(conn, analytics_schema())
        with (
            run_log.held(conninfo, conn, analytics_schema(), jobs, window) as runs,
            stop.allowed(),
        ):
            environment = dbt_environment(conn)
            runner.build(
                runs, window, environment, on_step, across=across, allow_purged=allow_purged
            )
    return runs


def _all_others_ok(last: dict[str, JobRun], again: tuple[str, ...]) -> bool:
    """Return whether `again` completes the run of every job, whose tables then can be compared."""
    return all(job in again or (job in last and last[job].ok) for job in JOBS)
