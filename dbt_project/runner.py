"""Runs dbt in this process and turns its events and results into job runs."""

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbt_project import ROOT, cancelling, embedded
from dbt_project.database import TIMEOUTS
from dbt_project.jobs import ACROSS, ROLLUPS, jobs_of, selection
from dbt_project.run_log import JobRun
from dbt_project.transient import is_transient
from dbt_project.window import Window

QUIET = ("--log-level", "none", "--log-level-file", "debug", "--no-version-check")
IGNORED = "ignored_events: "
ENDED_WELL = ("success", "pass", "warn", "no-op")
# What is skipped has something above it that failed, and that is the error to tell.
SKIPPED = "skipped"
SERVICE = "analytics_rollups"
# The events that carry the traceback of a node's failure.
TRACED = ("CatchableExceptionOnRun", "NodeConnectionReleaseError")


class DbtFailed(Exception):
    """dbt could not even begin; the message is dbt's own."""


@dataclass(frozen=True)
class Step:
    """A dbt node that starts (`status` is empty) or has ended."""

    unique_id: str
    name: str
    kind: str
    status: str = ""
    seconds: float = 0.0
    message: str = ""


def dbt(arguments: Iterable[str], environment: Mapping[str, str], **options: Any) -> Any:
    """Invoke dbt with the project's own profile; return its dbtRunnerResult.

    `options` go to dbtRunner. The profile on disk holds no value, only names of variables.
    """
    from dbt.cli.main import dbtRunner  # takes a second to import

    cancelling.install()
    profiles = embedded.profiles()
    _put(profiles / "profiles.yml", (ROOT / "profiles.yml.example").read_text())
    # A profile has no words for these, and neither has libpq's environment.
    timeouts = [f"{name}={value}" for name, value in TIMEOUTS.items()]
    _put(profiles / "pg_service.conf", "\n".join((f"[{SERVICE}]", *timeouts, "")))
    places = {"DBT_PROJECT_DIR": str(ROOT), "DBT_PROFILES_DIR": str(profiles)}
    if not {"PGSERVICE", "PGSERVICEFILE"} & {*environment, *os.environ}:
        places |= {"PGSERVICE": SERVICE, "PGSERVICEFILE": str(profiles / "pg_service.conf")}
    with _environment({**environment, **places}):
        return dbtRunner(**options).invoke([*arguments])


def build(
    runs: list[JobRun],
    window: Window,
    environment: Mapping[str, str],
    on_step: Callable[[Step], None],
    *,
    allow_purged: bool = False,
    across: bool = False,
) -> None:
    """Build the models of the jobs in `runs` and test them; fill in what came of each.

    `allow_purged` gives up the rows of days that the source no longer has. With `across` the
    tests that compare jobs run too, where dbt would leave them out because another job that they
    read is not among these. Raises DbtFailed when nothing was run, KeyboardInterrupt when the user
    stopped it.
    """
    jobs = tuple(run.job_name for run in runs)
    parsed = dbt(["parse", "--no-write-json", *QUIET], environment)
    if not parsed.success:
        raise DbtFailed(str(parsed.exception))
    nodes, ended = parsed.result.nodes, []
    traces: dict[str, str] = defaultdict(str)

    def on_event(event: Any) -> None:
        for run in runs:
            run.invocation_id = event.info.invocation_id
        if event.info.name == "NodeStart":
            on_step(_step(event.data.node_info))
        elif event.info.name == "NodeFinished":
            on_step(_step(event.data.node_info, event.data.run_result))
            ended.append((nodes.get(event.data.node_info.unique_id), event.data.run_result))
        elif event.info.name in TRACED:
            traces[event.data.node_info.unique_id] += event.data.exc_info
        elif event.info.name == "JinjaLogInfo" and event.data.msg.startswith(IGNORED):
            for run in runs:
                run.ignored = json.loads(event.data.msg.removeprefix(IGNORED))

    variables = {
        "as_of": window.as_of.isoformat(),
        "window_days": window.days,
        "allow_purged": allow_purged,
    }
    # The manifest is handed on because dbt parses everything anew when --vars differ.
    outcome = dbt(
        [
            "build",
            "--select",
            *selection(jobs),
            *([ACROSS] if across else []),
            "--exclude-resource-type",
            "unit_test",
            "--vars",
            json.dumps(variables),
            *QUIET,
        ],
        environment,
        manifest=parsed.result,
        callbacks=[on_event],
    )
    for node, result in ended:
        _record(node, result, runs, traces[node.unique_id])
    for run in runs:
        # dbt calls a selection that matches nothing a success, and has no results to show for
        # what stopped it as a whole.
        if outcome.exception and run.ok:
            run.errors.append(str(outcome.exception) or type(outcome.exception).__name__)
            run.lasting = not is_transient(outcome.exception)
        elif not run.rollup_ended and run.ok:
            run.errors.append(f"dbt did not build {ROLLUPS[run.job_name]}.")
            run.lasting = True


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
            run.lasting |= not is_transient(trace)


def _step(info: Any, result: Any = None) -> Step:
    return Step(
        info.unique_id,
        info.node_name,
        info.resource_type,
        status=info.node_status if result else "",
        seconds=result.execution_time if result else 0.0,
        message=result.message if result else "",
    )


def _problem(node: Any, result: Any) -> str:
    """Say which node failed, what the database said, and where the SQL is."""
    lines = [f"{node.resource_type} {node.name}: {result.status}"]
    lines += [line.strip() for line in result.message.splitlines() if line.strip()]
    if compiled := getattr(node, "compiled_path", None):  # a seed has none
        lines.append(f"SQL: {os.path.relpath(ROOT / compiled)}")
    return "\n  ".join(lines)


def _put(path: Path, text: str) -> None:
    """Write a file that another run may be reading, unless it is there already."""
    if path.exists() and path.read_text() == text:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
