"""The command line of Analytics Rollups: `python cli.py`, or `rollup` when installed."""

import atexit
import gc
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import psycopg

from dbt_project import preflight, progress, purges, report, run_log, runner, stop
from dbt_project.database import (
    analytics_schema,
    connect,
    database,
    dbt_environment,
    source_schema,
)
from dbt_project.failures import FAILED, failures
from dbt_project.jobs import JOBS, selection
from dbt_project.run import run_jobs
from dbt_project.run_log import JobRun
from dbt_project.window import MAX_DAYS, Window, iso, parse_instant


class Instant(click.ParamType):
    name = "instant"

    def convert(self, value, param, ctx):
        try:
            return parse_instant(value)
        except ValueError:
            self.fail(f"{value!r} is no ISO 8601 time such as 2026-11-24T12:00:00Z", param, ctx)


@click.group(invoke_without_command=True)
@click.option(
    "--job",
    "jobs",
    type=click.Choice(JOBS),
    multiple=True,
    help="Run this job only; repeat for several. All of them by default.",
)
@click.option(
    "--window-days",
    type=click.IntRange(1, MAX_DAYS),
    default=14,
    show_default=True,
    help="How many UTC days to recompute, today included.",
)
@click.option("--as-of", type=Instant(), help="Compute as if it were this moment.  [default: now]")
@click.option(
    "--allow-purged",
    is_flag=True,
    help="Recompute days that the source no longer has, to zeros, after a question.",
)
@click.option("--yes", is_flag=True, help="Answer the question of --allow-purged with yes.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option(
    "--summary-file",
    type=click.File("a", encoding="utf-8"),
    help="Append the summary to a file, in Markdown, as for a page of GitHub Actions.",
)
@click.pass_context
def cli(ctx, jobs, window_days, as_of, allow_purged, yes, dry_run, as_json, summary_file):
    """Recompute the rollups of the last days from the app's event log.

    DATABASE_URL names the database; without it an embedded PostgreSQL serves. Exits with 0 when
    every model and test passed, 1 when one failed, 2 on bad usage, 3 when a job is running
    already.
    """
    # Logs and compiled SQL may hold what the app's users sent.
    os.umask(os.umask(0) | 0o077)
    if ctx.invoked_subcommand:
        return
    window = Window(as_of or datetime.now(UTC), window_days)
    wanted = selection(jobs or JOBS)
    if dry_run:
        _print_plan(window, wanted, as_json)
        return
    stop.heed()
    with failures(as_json), database() as conninfo:
        runs = _run(conninfo, window, wanted, allow_purged, yes)
    if summary_file:
        summary_file.write(report.summary_markdown(window, runs))
    if as_json:
        click.echo(json.dumps(report.summary(window, runs)))
    else:
        click.echo(report.summary_text(window, runs))
    sys.exit(0 if all(run.ok for run in runs) else FAILED)


@cli.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def runs(limit, as_json):
    """List the latest runs, newest first."""
    with failures(as_json), _connection() as conn:
        rows = run_log.recent(conn, analytics_schema(), limit)
    click.echo(json.dumps(rows, default=_plain) if as_json else report.runs_text(rows))


@cli.command()
@click.option("--writer", metavar="ROLE", help="Role that is to run the jobs.")
@click.option(
    "--reader", "readers", metavar="ROLE", multiple=True, help="Role that is to read the rollups."
)
@click.option("--indexes", is_flag=True, help="Index event_logs to make runs faster.")
@click.option("--dry-run", is_flag=True, help="Print the SQL, and touch nothing.")
def init(writer, readers, indexes, dry_run):
    """Create the analytics schema and the run log, and give existing roles their rights.

    Creates no role. Run again, it changes nothing that is there already.
    """
    from dbt_project import prepare

    with failures(stopped=prepare.STOPPED), _connection() as conn:
        wanted = prepare.Wanted(source_schema(), analytics_schema(), writer, readers)
        if dry_run:
            lines = [prepare.script(conn, wanted, indexes)]
        else:
            lines = prepare.init(conn, wanted, indexes, tell=partial(click.echo, err=True))
    click.echo("\n".join(lines))


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments):
    """Run any dbt command on the same database, as in: dbt -- build --select daily"""
    with failures(), _connection() as conn:
        outcome = runner.dbt(arguments, dbt_environment(conn))
    if outcome.exception:
        click.echo(str(outcome.exception), err=True)
    sys.exit(0 if outcome.success else FAILED)


@cli.command()
def demo():
    """Fill an empty database with a made-up app and run every job on it."""
    from dbt_project.demo import fill

    window = Window(datetime.now(UTC), 45)
    live = sys.stderr.isatty()
    with failures(), database() as conninfo:
        with (
            closing(connect(conninfo)) as conn,
            progress.counted("Making events", live) as advance,
        ):
            fill(conn, source_schema(), window.as_of, progress=advance)
        stop.heed()
        runs = _run(conninfo, window, JOBS)
        with closing(connect(conninfo)) as conn:
            latest = report.latest_days(conn, analytics_schema())
    click.echo(f"{latest}\n\n{report.summary_text(window, runs)}")
    token, python = secrets.token_urlsafe(12), os.path.relpath(sys.executable)
    click.echo(f"\nTo serve these numbers: DASHBOARD_TOKEN={token} {python} cli.py serve")
    sys.exit(0 if all(run.ok for run in runs) else FAILED)


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(file):
    """Load events from a CSV or NDJSON FILE into the source tables: all of them, or none."""
    from dbt_project.load import AlreadyLoaded, BadFile, load

    with (
        failures(also=(AlreadyLoaded, BadFile)),
        database() as conninfo,
        closing(connect(conninfo)) as conn,
        progress.counted("Loading", sys.stderr.isatty()) as advance,
    ):
        loaded = load(conn, source_schema(), file, progress=advance)
    click.echo(
        f"Loaded {loaded.events:,} events of {loaded.users:,} users,"
        f" {iso(loaded.first_at)} to {iso(loaded.last_at)}."
    )


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address, or unix:/path.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def serve(host, port):
    """Serve the API to the dashboard until told to stop."""
    from api.serve import serve
    from api.settings import BadSetting

    with failures(also=(BadSetting,)):
        sys.exit(serve(host, port))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def freshness(as_json):
    """Say when the newest event was received; exits with 1 when that is too long ago."""
    from dbt_project import freshness

    with failures(as_json, stopped="Stopped."), _connection() as conn:
        found = freshness.check(conn, source_schema())
    click.echo(json.dumps(found.summary()) if as_json else found.sentence())
    sys.exit(0 if found.ok else FAILED)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--build-only", is_flag=True, help="Build the page and do not serve it.")
def docs(port, build_only):
    """Build the documentation of models and macros as one page, and serve it on localhost."""
    from dbt_project import site

    with failures(also=(site.PortTaken,), stopped="Stopped."), ExitStack() as opened:
        # The port first: that it is taken is better told before the work than after.
        server = None if build_only else opened.enter_context(site.server(port))
        with _connection() as conn:
            page = site.build(dbt_environment(conn))
        click.echo(f"Built {os.path.relpath(page)}.")
        if server:
            stop.heed()
            click.echo(f"Serving it on http://127.0.0.1:{port}/ until Ctrl-C.")
            with suppress(KeyboardInterrupt), stop.allowed():
                site.serve(server, page)


def _run(
    conninfo: str,
    window: Window,
    jobs: tuple[str, ...],
    allow_purged: bool = False,
    yes: bool = False,
) -> list[JobRun]:
    # dbt makes a great many objects that live as long as this process, which is short.
    gc.disable()
    atexit.register(gc.freeze)
    if allow_purged:
        with stop.allowed(), closing(connect(conninfo, autocommit=True)) as conn:
            preflight.check(conn, source_schema(), analytics_schema())
            purges.agree(conn, (source_schema(), analytics_schema()), jobs, window, yes)
    with progress.steps_shown(sys.stderr.isatty()) as on_step:
        return run_jobs(
            conninfo,
            window,
            jobs,
            on_step,
            say=lambda line: click.echo(line, err=True),
            allow_purged=allow_purged,
        )


@contextmanager
def _connection() -> Iterator[psycopg.Connection]:
    with database() as conninfo, closing(connect(conninfo, autocommit=True)) as conn:
        yield conn


def _print_plan(window: Window, jobs: tuple[str, ...], as_json: bool) -> None:
    plan = {
        "jobs": list(jobs),
        "as_of": iso(window.as_of),
        "window_start": iso(window.start),
        "window_end": iso(window.end),
        "selectors": list(selection(jobs)),
    }
    if as_json:
        click.echo(json.dumps(plan))
        return
    for name, value in plan.items():
        click.echo(f"{name:<13}{', '.join(value) if isinstance(value, list) else value}")


def _plain(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


if __name__ == "__main__":
    cli()
