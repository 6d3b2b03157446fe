"""Runs jobs: calls dbt in this process, turns its results into job runs, and retries."""

import atexit
import gc
import json
import os
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from dbt_project import ROOT, home, limits, preflight, purged, retry, run_log, signals
from dbt_project.database import analytics_schema, connect, dbt_environment, source_schema
from dbt_project.messages import Failure, echo
from dbt_project.report import ENDED_WELL, steps_shown
from dbt_project.run_log import JobRun
from dbt_project.url import TIMEOUTS
from dbt_project.window import ACROSS, JOBS, ROLLUPS, Window, jobs_of, selection

QUIET = ("--log-level", "none", "--log-level-file", "debug", "--no-version-check")
# Of an environment; `target` is the profile's, `only` names models in place of all of the jobs'.
Build = Callable[..., None]
# What macros log for this module, as JSON: for a model, and at the end of a run.
LIMITS, RUN = "limits: ", "run: "
# A skipped node depends on one that failed, whose error is reported.
SKIPPED = "skipped"
SERVICE = "analytics_rollups"
# Of a message. Spark's go on for pages, with its plan.
MOST_LINES = 20
# In a message of Java, what called what.
JAVA = re.compile(r"^\s*(at [\w.$/<>@-]+\(.*\)|\.\.\. \d+ more)\s*$\n?", re.M)
# The events that carry the traceback of a node's failure.
TRACED = ("CatchableExceptionOnRun", "NodeConnectionReleaseError")


class DbtFailed(Failure):
    """dbt could not even begin; the message is dbt's own."""


class Engine(Protocol):
    """What computes the jobs' tables."""

    def check(
        self, conn: psycopg.Connection, analytics: str, jobs: tuple[str, ...], window: Window
    ) -> None:
        """Raise Failure for what would make a run fail, before it writes anything."""

    def event_log(self, conn: psycopg.Connection, window: Window) -> str:
        """Return, as SQL, an event log that begins when the source's valid events do."""

    def run(
        self,
        conninfo: str,
        conn: psycopg.Connection,
        runs: list[JobRun],
        window: Window,
        build: Build,
        allow_purged: bool,
    ) -> None:
        """Build the jobs in `runs`, whose locks are held, and record in them what came of it."""


class Postgres:
    """The database computes its own tables."""

    def check(
        self, conn: psycopg.Connection, analytics: str, jobs: tuple[str, ...], window: Window
    ) -> None:
        preflight.check(conn, source_schema(), analytics, jobs)

    def event_log(self, conn: psycopg.Connection, window: Window) -> str:
        return limits.event_log(source_schema())

    def run(
        self,
        conninfo: str,
        conn: psycopg.Connection,
        runs: list[JobRun],
        window: Window,
        build: Build,
        allow_purged: bool,
    ) -> None:
        build(dbt_environment(conn))


def run_jobs(
    conninfo: str,
    window: Window,
    jobs: tuple[str, ...],
    *,
    allow_purged: bool = False,
    yes: bool = False,
    engine: Engine | None = None,
) -> list[JobRun]:
    """Run the jobs; return the last run of each, in the order of `jobs`.

    Without another `engine`, PostgreSQL computes them.

    Running a job twice changes nothing, so the jobs that failed by nothing but transient failures
    are run again as a whole, each time with its own row in the run log. `allow_purged` also
    recomputes days that the source lost, after a question unless `yes`. Raises Failure or
    psycopg.Error when the jobs could not be run at all.
    """
    # dbt creates very many objects that live as long as this process, which is short.
    gc.disable()
    atexit.register(gc.freeze)
    engine, analytics = engine or Postgres(), analytics_schema()
    if allow_purged:
        with signals.interruptible(), closing(connect(conninfo, autocommit=True)) as conn:
            engine.check(conn, analytics, jobs, window)
            run_log.create(conn, analytics)
            purged.confirm(conn, engine.event_log(conn, window), analytics, jobs, window, yes)
    last: dict[str, JobRun] = {}
    for wait in (*retry.WAITS_S, None):
        # The last of the jobs to succeed completes the tables that some tests compare.
        across = all(job in jobs or (job in last and last[job].ok) for job in JOBS)
        try:
            runs = _attempt(conninfo, analytics, window, jobs, across, allow_purged, engine)
        except psycopg.Error as error:
            if wait is None or not retry.is_transient(error):
                raise
            reason = str(error)
        else:
            last |= {run.job_name: run for run in runs}
            failed = [run for run in runs if run.is_transient]
            if wait is None or not failed:
                break
            jobs = tuple(run.job_name for run in failed)
            reason = failed[0].errors[0]
        reason = " ".join(reason.partition("SQL:")[0].split()).rstrip(".")
        echo(f"{reason}. Trying {', '.join(jobs)} again in {wait} s.", err=True)
        with signals.interruptible():
            time.sleep(wait)
    return list(last.values())


def _attempt(
    conninfo: str,
    analytics: str,
    window: Window,
    jobs: tuple[str, ...],
    across: bool,
    allow_purged: bool,
    engine: Engine,
) -> list[JobRun]:
    with signals.interruptible():
        conn = connect(conninfo, autocommit=True)
    with closing(conn):
        with signals.interruptible():
            engine.check(conn, analytics, jobs, window)
            run_log.create(conn, analytics)
        with (
            run_log.held(conninfo, conn, analytics, jobs, window) as runs,
            steps_shown() as on_step,
            signals.interruptible(),
        ):

            def build_them(environment: Mapping[str, str], **options: Any) -> None:
                options |= {"across": across, "allow_purged": allow_purged}
                build(runs, window, environment, on_step, **options)

            engine.run(conninfo, conn, runs, window, build_them, allow_purged)
    return runs


def dbt(arguments: Iterable[str], environment: Mapping[str, str], **options: Any) -> Any:
    """Invoke dbt with the project's own profile; return its dbtRunnerResult.

    `options` go to dbtRunner. The profile on disk holds no value, only names of variables.
    """
    from dbt.cli.main import dbtRunner  # takes a second to import

    signals.let_dbt_cancel()
    profiles = home.profiles()
    _put(profiles / "profiles.yml", (ROOT / "profiles.yml.example").read_text())
    # Neither a profile nor libpq's environment can set these.
    timeouts = [f"{name}={value}" for name, value in TIMEOUTS.items()]
    _put(profiles / "pg_service.conf", "\n".join((f"[{SERVICE}]", *timeouts, "")))
    places = {"DBT_PROJECT_DIR": str(ROOT), "DBT_PROFILES_DIR": str(profiles)}
    if not {"PGSERVICE", "PGSERVICEFILE"} & {*environment, *os.environ}:
        places |= {"PGSERVICE": SERVICE, "PGSERVICEFILE": str(profiles / "pg_service.conf")}
    with in_environment({**environment, **places}):
        outcome = dbtRunner(**options).invoke([*arguments])
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception
    return outcome


def build(
    runs: list[JobRun],
    window: Window,
    environment: Mapping[str, str],
    on_step: Callable[..., None],
    *,
    allow_purged: bool = False,
    across: bool = False,
    target: str = "default",
    only: tuple[str, ...] = (),
) -> None:
    """Build the models of the jobs in `runs` and test them; record the results in `runs`.

    With `across` the tests that compare jobs run too, where dbt would leave them out because
    another job that they read is not among these. `only` names some models to build. Raises
    DbtFailed when nothing was run, KeyboardInterrupt when the user stopped it.
    """
    jobs = tuple(run.job_name for run in runs)
    options = ["--target", target, *QUIET]
    parsed = dbt(["parse", "--no-write-json", *options], environment)
    if not parsed.success:
        raise DbtFailed(str(parsed.exception))
    nodes, ended = parsed.result.nodes, []
    traces: dict[str, str] = defaultdict(str)

    def on_event(event: Any) -> None:
        for run in runs:
            run.invocation_id = event.info.invocation_id
        if event.info.name == "NodeStart":
            on_step(event.data.node_info)
        elif event.info.name == "NodeFinished":
            on_step(event.data.node_info, event.data.run_result)
            result = event.data.run_result
            # A signal cancels what runs, which fails then as if the server were to blame.
            if result.status in ENDED_WELL or not signals.received():
                ended.append((nodes.get(event.data.node_info.unique_id), result))
        elif event.info.name in TRACED:
            traces[event.data.node_info.unique_id] += event.data.exc_info
        elif event.info.name == "JinjaLogDebug":
            _note(event.data.msg, runs)

    variables = {
        "as_of": window.as_of.isoformat(),
        "window_days": window.days,
        "to": str(window.to) if window.to else None,
        "allow_purged": allow_purged,
        "log_run": False,
    }
    selected = only or [*selection(jobs), *([ACROSS] if across else [])]
    command = ["build", "--select", *selected, "--exclude-resource-type", "unit_test"]
    # Pass the manifest, or dbt parses the whole project again because --vars differ.
    outcome = dbt(
        [*command, "--vars", json.dumps(variables), *options],
        environment,
        manifest=parsed.result,
        callbacks=[on_event],
    )
    for node, result in ended:
        _record(node, result, runs, traces[node.unique_id])
    signals.raise_if_received()
    for run in runs:
        # dbt calls a selection that matches nothing a success, and has no results where it was
        # stopped as a whole.
        if outcome.exception and run.ok:
            run.errors.append(_told(outcome.exception))
            run.permanent = not retry.is_transient(outcome.exception)
        elif not run.rollup_ended and run.ok:
            run.errors.append(f"dbt did not build {ROLLUPS[run.job_name]}.")
            run.permanent = True


def _told(error: BaseException) -> str:
    """Return dbt's message; of a check at the start of a run, what the check says."""
    text = JAVA.sub("", str(error)) or type(error).__name__
    return re.sub(r"\A\s*Compilation Error in operation .*\n\s*", "", text)


def _note(message: str, runs: list[JobRun]) -> None:
    """Add to the runs what a macro logged for them."""
    if message.startswith(LIMITS):
        found = json.loads(message.removeprefix(LIMITS))
        for run in runs:
            if run.job_name == found["job"]:
                run.kept_since = found["kept_since"] or run.kept_since
                run.notes += found["notes"]
                run.idle |= found.get("idle", False)
    elif message.startswith(RUN):
        found = json.loads(message.removeprefix(RUN))
        for run in runs:
            run.ignored = found["ignored"]
            run.notes += [found["note"]] if found["note"] not in (None, *run.notes) else []


def _record(node: Any, result: Any, runs: list[JobRun], trace: str) -> None:
    """Add the result of one dbt node to the jobs that it belongs to."""
    jobs = jobs_of(node.fqn, tuple(run.job_name for run in runs))
    for run in runs:
        if run.job_name not in jobs:
            continue
        run.seconds += result.execution_time
        if node.name == ROLLUPS[run.job_name]:
            run.rollup_ended = True
            run.rows_written = int(dict(result.adapter_response).get("rows_affected", 0))
        if result.status not in (*ENDED_WELL, SKIPPED):
            run.errors.append(_problem(node, result))
            run.permanent |= not retry.is_transient(trace)


def _problem(node: Any, result: Any) -> str:
    """Say which node failed, what the database said, and where the SQL is."""
    lines = [f"{node.resource_type} {node.name}: {result.status}"]
    lines += _lines(result.message)
    if compiled := getattr(node, "compiled_path", None):  # a seed has none
        lines.append(f"SQL: {os.path.relpath(ROOT / compiled)}")
    return "\n  ".join(lines)


def _lines(message: str) -> list[str]:
    """Return the lines that say what happened."""
    lines = [line.strip() for line in JAVA.sub("", message).splitlines() if line.strip()]
    rest = lines[MOST_LINES:]
    return [*lines[:MOST_LINES], "… The rest is in dbt's log."] if rest else lines


def _put(path: Path, text: str) -> None:
    """Write a file atomically, since another run may be reading it, unless it is up to date."""
    if path.exists() and path.read_text() == text:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


@contextmanager
def in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and all back to what they were at the end."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
