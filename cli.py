"""The command line of Analytics Rollups: `python cli.py`, or `rollup` when installed."""

import os
import sys

if os.name == "nt":
    sys.exit("This project runs on Linux and macOS. On Windows, run it in WSL.")
if not (3, 11) <= sys.version_info < (3, 14):  # an older Python still has to parse this file
    sys.exit(
        "This project needs Python 3.11, 3.12 or 3.13: run `make setup`, then .venv/bin/python."
    )

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

try:
    import click
    import psycopg
except ModuleNotFoundError as missing:
    sys.exit(f"{missing.name} is not installed: run `make setup`, then .venv/bin/python cli.py.")

from dbt_project import (
    ROOT,
    __version__,
    alerts,
    check,
    mapping,
    options,
    our_tables,
    report,
    run_log,
    runner,
    settings,
    signals,
)
from dbt_project.database import (
    analytics_schema,
    connect,
    database,
    database_name,
    dbt_environment,
    source_schema,
)
from dbt_project.messages import FAILED, echo, failures
from dbt_project.source import TABLES
from dbt_project.window import DEFAULT_DAYS, JOBS, MAX_DAYS, selection


@click.group(
    invoke_without_command=True,
    epilog=options.VARIABLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--job", "jobs", type=click.Choice(JOBS), multiple=True,
              help="Run this job only; repeat for several. All of them by default.")  # fmt: skip
@click.option("--window-days", type=click.IntRange(1, MAX_DAYS), default=DEFAULT_DAYS,
              show_default=True, help="How many days to recompute, today included.")  # fmt: skip
@click.option("--from", "first", type=options.Day(), help="Recompute the days since this one.")
@click.option("--to", "last", type=options.Day(), help="Last day of --from.  [default: today]")
@click.option("--as-of", type=options.Instant(),
              help="Compute as of this time, or the end of this day.  [default: now]")  # fmt: skip
@click.option("--target", type=click.Choice(["default", "spark"]), default="default",
              show_default=True, help="What computes: the database, or Apache Spark.")  # fmt: skip
@click.option("--allow-purged", is_flag=True,
              help="Recompute final days from what a purge left; asks first.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Answer the question of --allow-purged with yes.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--notify", is_flag=True, help="Tell ALERT_URLS when jobs fail, or no longer do.")
@click.option("--summary-file", type=click.File("a", encoding="utf-8"),
              help="Append the summary to a file in Markdown, as for GitHub Actions.")  # fmt: skip
@click.version_option(__version__, prog_name="Analytics Rollups")
@click.pass_context
def cli(
    ctx, jobs, window_days, first, last, as_of, target, allow_purged, yes, dry_run, as_json,
    notify, summary_file,
):  # fmt: skip
    """Recompute the rollups of the last days from the app's event log.

    DATABASE_URL names the database; without it an embedded PostgreSQL is used. Exits with 0 when
    every model and test passed, 1 when one failed, 2 on bad usage, 3 when a job is already
    running.
    """
    # Logs and compiled SQL may hold what the app's users sent.
    os.umask(os.umask(0) | 0o077)
    if not (ROOT / "dbt_project.yml").exists():
        raise click.ClickException(
            "The models are not installed with this command. Clone the project, and run"
            " `pip install --editable .` or `python cli.py` in the clone."
        )
    options.check_run(ctx, dry_run, allow_purged)
    if ctx.invoked_subcommand:
        return
    wanted, window_of = selection(jobs or JOBS), (ctx, window_days, first, last, as_of)
    if dry_run:
        with failures(as_json):
            click.echo(report.plan(options.window(*window_of), wanted, target, as_json))
        return
    with failures(as_json):
        targets = alerts.targets() if notify else []
    signals.defer()
    watched, opened = alerts.of_a_failed_start(targets, wanted), ExitStack()
    with failures(as_json), watched, opened:
        window = options.window(*window_of)
        engine = opened.enter_context(_engine(target))
        conninfo = opened.enter_context(database(with_dbt=True))
        runs = runner.run_jobs(
            conninfo, window, wanted, allow_purged=allow_purged, yes=yes, engine=engine
        )
        told = not targets or alerts.tell_runs(conninfo, targets, runs)
    if summary_file:
        summary_file.write(report.summary_markdown(window, runs))
    if as_json:
        click.echo(json.dumps(report.summary(window, runs)))
    else:
        echo(report.summary_text(window, runs))
    sys.exit(0 if told and all(run.ok for run in runs) else FAILED)


@cli.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def runs(limit, as_json):
    """List the latest runs, newest first."""
    with failures(as_json), _connection() as conn:
        our_tables.check_code(conn, analytics_schema(), owners=False)
        rows = run_log.recent(conn, analytics_schema(), limit)
    click.echo(report.runs_listed(rows, as_json))


@cli.command()
@click.option("--writer", metavar="ROLE", help="Role that is to run the jobs.")
@click.option("--reader", "readers", metavar="ROLE", multiple=True,
              help="Role that is to read the rollups; repeat for several.")  # fmt: skip
@click.option("--indexes", is_flag=True, help="Index event_logs to make runs faster.")
@click.option("--dry-run", is_flag=True, help="Print the SQL, and change nothing.")
@click.option("--map", "mapped", is_flag=True,
              help="Print views of the app's own tables as SQL, and change nothing.")  # fmt: skip
@click.pass_context
def init(ctx, writer, readers, indexes, dry_run, mapped):
    """Create the analytics schema and the run log, and give existing roles their rights.

    Creates no role. Running it again changes nothing.

    With --map, print what makes views that a run can read of tables with other names or columns,
    as guessed from the catalogue.
    """
    from dbt_project.init import STOPPED, Wanted, init, script

    if mapped:
        names = ("writer", "readers", "indexes", "dry_run")
        options.refuse_unused(ctx, *names, why="has no effect on --map, which only prints.")
        with failures(stopped="Stopped."), _connection() as conn:
            echo(mapping.template(conn, source_schema(), analytics_schema()))
        return
    with failures(stopped=STOPPED), _connection() as conn:
        wanted = Wanted(source_schema(), analytics_schema(), writer, readers, indexes)
        lines = (
            [script(conn, wanted)]
            if dry_run
            else [*init(conn, wanted), f"Set up in {database_name(conn)}."]
        )
    echo("\n".join(lines))


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments):
    """Run any dbt command on the same database, as in: dbt -- build --select daily"""
    with failures(), _connection(with_dbt=True) as conn:
        outcome = runner.dbt(arguments, dbt_environment(conn))
    if outcome.exception:
        echo(str(outcome.exception), err=True)
    sys.exit(0 if outcome.success else FAILED)


@cli.command()
@click.option("--app", type=click.Choice(["fitness", "shop"]), default="fitness",
              show_default=True, help="Which app to make up.")  # fmt: skip
def demo(app):
    """Fill an empty database with a made-up app and run every job on it."""
    from dbt_project import demo

    with failures(), database(with_dbt=True) as conninfo:
        text, ok = demo.run(conninfo, app)
    python, token = os.path.relpath(sys.executable), secrets.token_urlsafe(12)
    settings = {**demo.settings(app), "DASHBOARD_TOKEN": token}
    serve = [*(f"{name}={value}" for name, value in settings.items()), python, "cli.py serve"]
    echo(f"{text}\n\nTo serve these numbers: {' '.join(serve)}")
    sys.exit(0 if ok else FAILED)


@cli.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True,
                type=click.Path(exists=True, dir_okay=False, allow_dash=True))  # fmt: skip
@click.option("--table", type=click.Choice(TABLES), default=TABLES[0],
              show_default=True, help="Table that the files are for.")  # fmt: skip
@click.option("--map", "mapping", metavar="NAMES", multiple=True,
              help="What the files name a column: 'user=USER_ID,event=action', or @FILE with one"
                   " such pair a line.")  # fmt: skip
@click.option("--skip", metavar="NAMES", multiple=True,
              help="Columns of the files to leave out: 'email,phone'.")  # fmt: skip
@click.option("--timezone", metavar="ZONE",
              help="Zone of times without an offset.  [default: ROLLUP_TIMEZONE]")  # fmt: skip
@click.option("--replace", is_flag=True,
              help="Overwrite experiments and variants that are stored already.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Check all lines, print what the first become, and write nothing.")  # fmt: skip
@click.option("--into-app", is_flag=True, help="Load into the database of DATABASE_URL.")
@click.pass_context
def load(ctx, files, table, mapping, skip, timezone, replace, dry_run, into_app):
    """Load the events of the files, or of standard input if one is -: all of them, or none.

    A file is CSV (with commas, semicolons, tabs or |), NDJSON or a JSON array, in UTF-8 or
    UTF-16, and may be compressed by gzip, bzip2 or xz. docs/load.md has the details.

    Columns: user (or anonymous_user_id, user_id), event (or event_name), occurred_at (or time,
    timestamp); and where you have them received_at, experiment_map, id, session_id, platform,
    app_version, properties, event_id, install_id, sent_at, context, assignments,
    assignment_version, schema_version. Other columns go into properties. Events without an id
    are new, unless the same file, or its beginning, was loaded before.
    """
    from dbt_project import load
    from dbt_project.load.rows import Reader, listed, pairs

    if replace and table not in TABLES[2:]:
        raise click.UsageError("--replace needs --table experiments or experiment_variants.")
    if dry_run:
        options.refuse_unused(ctx, "into_app", "replace", why="has no effect on --dry-run.")
    with failures(stopped="Stopped; nothing was loaded."):
        zone = settings.timezone(timezone, "--timezone")
        skipped = [name for text in skip for name in listed(text)]
        reader, sources = Reader(table, zone, pairs(mapping), skipped), load.sources(files)
        if dry_run:
            loaded = load.preview(sources, reader)
            text = loaded.sentence
        else:
            with database() as conninfo, closing(connect(conninfo)) as conn:
                load.check_target(conn, into_app)
                with report.counted("Loading") as advance:
                    loaded = load.load(
                        conn, source_schema(), sources, reader, replace=replace, progress=advance
                    )
                text = f"{loaded.sentence}, into {database_name(conn)}."
    for note in loaded.notes:
        echo(note, err=True)
    echo(text)


@cli.group()
def lake():
    """Move the event log to a lake, for runs on Apache Spark."""


@lake.command("export")
@click.option("--since", type=options.Day(), required=True, help="First day, in UTC.")
@click.option("--until", type=options.Day(), help="Last day.  [default: no limit]")
@click.option("--all", "again", is_flag=True, help="Write days again that did not change, too.")
def export_command(since, until, again):
    """Copy the source tables to LAKE_PATH as Parquet, the events day by day.

    A day that is there already is copied again only if its events changed: if there are more or
    fewer of them, or they were received at other times. What was changed in place is not noticed;
    --all copies it. So an export that was stopped goes on where it was, and a nightly one copies
    the days with new and late events. The other tables are copied each time.
    """
    from dbt_project import lake
    from dbt_project.lake.place import open_lake

    with failures(stopped="Stopped. Each day is as it was, or whole."):
        place, schema = open_lake(), source_schema()
        shown = report.counted("Exporting")
        with database() as conninfo, closing(connect(conninfo)) as conn, shown as advance:
            done = lake.export(conn, schema, place, since, until, again=again, progress=advance)
    for note in done.notes:
        echo(note, err=True)
    echo(done.sentence(place))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address, or unix:/path.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True,
              envvar="PORT", show_envvar=True)  # fmt: skip
@click.pass_context
def serve(ctx, host, port):
    """Serve the API and the dashboard until a signal stops it."""
    from api.serve import serve

    if host.startswith("unix:"):
        options.refuse_unused(ctx, "port", why="has no effect on a Unix socket.")
    with failures():
        sys.exit(serve(host, port))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def freshness(as_json):
    """Say when the newest event was received; exits with 1 when that is too long ago."""
    from dbt_project import freshness

    with failures(as_json, stopped="Stopped."), _connection() as conn:
        summary, sentence = freshness.check(conn, source_schema())
    click.echo(json.dumps(summary) if as_json else sentence)
    sys.exit(0 if summary["ok"] else FAILED)


@cli.command("check")
@click.option("--max-age", type=click.IntRange(1, 24 * 365), default=check.MAX_AGE_HOURS,
              show_default=True, help="Hours that the numbers of a job may be old.")  # fmt: skip
@click.option("--notify", is_flag=True, help="Tell ALERT_URLS what is new, and what is over.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def check_command(max_age, notify, as_json):
    """Look for trouble: failed and old jobs, a silent source, odd numbers, bad experiments.

    Exits with 1 when there is some, or when a message did not arrive.
    """
    with failures(as_json, stopped="Stopped."):
        targets = alerts.targets() if notify else []
        with alerts.of_an_outage(targets), database() as conninfo:
            found, told = alerts.check_and_tell(conninfo, targets, max_age)
    echo(report.findings(found, told, as_json))
    sys.exit(FAILED if found or not told else 0)


@cli.command()
@click.option("--notify", is_flag=True, help="Give every run and check --notify.")
def schedule(notify):
    """Run the jobs every hour, the first of a day in full, and check the numbers.

    For containers, and wherever else there is no cron. Waits for an event log.
    """
    from dbt_project import schedule

    with failures(stopped="Stopped."):
        if notify:
            alerts.targets()
        signals.defer()
        with signals.interruptible():
            schedule.forever(("--notify",) if notify else ())


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--build-only", is_flag=True, help="Build the page and do not serve it.")
@click.pass_context
def docs(ctx, port, build_only):
    """Build the documentation of models and macros as one page, and serve it on localhost."""
    from dbt_project import docs

    if build_only:
        options.refuse_unused(ctx, "port", why="has no effect on --build-only.")
    with failures(stopped="Stopped."), ExitStack() as opened:
        # The port first, so that a port in use is reported before the work.
        server = None if build_only else opened.enter_context(docs.server(port))
        with _connection(with_dbt=True) as conn:
            page = docs.build(dbt_environment(conn))
        click.echo(f"Built {os.path.relpath(page)}.")
        if server:
            signals.defer()
            click.echo(f"Serving it on http://127.0.0.1:{port}/ until Ctrl-C.")
            with suppress(KeyboardInterrupt), signals.interruptible():
                docs.serve(server, page)


@contextmanager
def _engine(target: str) -> Iterator[runner.Engine]:
    if target == "default":
        yield runner.Postgres()
        return
    from dbt_project import spark
    from dbt_project.spark_run import Spark

    spark.check()

    with spark.alone():
        yield Spark()


@contextmanager
def _connection(with_dbt: bool = False) -> Iterator[psycopg.Connection]:
    with database(with_dbt=with_dbt) as conninfo, ExitStack() as opened:
        yield opened.enter_context(closing(connect(conninfo, autocommit=True)))


if __name__ == "__main__":
    cli()
