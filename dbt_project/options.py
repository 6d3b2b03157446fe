"""Options of the command line: their types, and which of them go together."""

from datetime import UTC, date, datetime, timedelta

import click
from click.core import ParameterSource

from dbt_project.settings import BadSetting
from dbt_project.window import Window, iso, parse_instant, window_of_days

# Below the help of the command line.
VARIABLES = """\b
Environment variables:
  DATABASE_URL      postgresql:// URL of the database  [default: an embedded one]
  SOURCE_SCHEMA     schema of the app's tables  [default: public]
  ANALYTICS_SCHEMA  schema of the rollups  [default: analytics]
  DBT_THREADS       models that run at once  [default: 4]
  ROLLUP_TIMEZONE   zone of all days, as in Europe/Berlin  [default: UTC]
  KEY_EVENT         events that count as the goal  [default: session_submitted]
  ROLLUP_SEEDS      folder of funnels and experiment metrics  [default: seeds]
  LAKE_PATH         folder or URL of the event log as Parquet
  SPARK_METHOD      how Spark is reached: session, thrift or http  [default: session]
  SPARK_MASTER      master of a session  [default: local[*]]
  SPARK_HOST        host of a cluster's server
  SPARK_PORT        its port
  SPARK_USER        user of that server
  SPARK_TOKEN       token for http
  SPARK_WAREHOUSE   folder of a session's tables  [default: spark in ROLLUP_HOME]
  ALERT_URLS        Apprise URLs that --notify tells of trouble
  ROLLUP_HOME       folder of the embedded database and of dbt's profile  [default: .rollup]
README.md lists those of the API too."""


class Instant(click.ParamType):
    name = "instant"

    def convert(self, value, param, ctx):
        try:
            instant = parse_instant(value)
        except BadSetting as error:
            raise click.ClickException(str(error)) from None
        except ValueError:
            self.fail(f"{value!r} is no ISO 8601 time such as 2026-11-24T12:00:00Z", param, ctx)
        if instant > datetime.now(UTC) + timedelta(minutes=5):
            self.fail(f"{iso(instant)} is in the future; leave it out for now", param, ctx)
        return instant


class Day(click.ParamType):
    name = "day"

    def convert(self, value, param, ctx):
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day such as 2026-11-24", param, ctx)


def refuse_unused(ctx: click.Context, *names: str, why: str) -> None:
    """Raise UsageError if an option of these names, or any option, was given without effect."""
    for option in ctx.command.params:
        given = ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if given and (not names or option.name in names):
            raise click.UsageError(f"{option.opts[0]} {why}")


def check_run(ctx: click.Context, dry_run: bool, allow_purged: bool) -> None:
    """Raise UsageError for options of a run that have no effect beside the others."""
    if ctx.invoked_subcommand:
        why = f"has no effect before {ctx.invoked_subcommand}, whose options come after it."
        refuse_unused(ctx, why=why)
    elif dry_run:
        refuse_unused(
            ctx, "allow_purged", "yes", "summary_file", "notify", why="has no effect on --dry-run."
        )
    elif not allow_purged:
        refuse_unused(ctx, "yes", why="answers the question of --allow-purged, which is not given.")


def window(
    ctx: click.Context, days: int, first: date | None, last: date | None, as_of: datetime | None
) -> Window:
    """Return the window of --window-days and --as-of, or that of --from and --to.

    Raises UsageError where they contradict each other.
    """
    if first is None and last is None:
        return Window(as_of or datetime.now(UTC), days)
    if first is None:
        raise click.UsageError("--to needs --from.")
    why = "has no effect on --from, which computes days as of now."
    refuse_unused(ctx, "window_days", "as_of", why=why)
    try:
        return window_of_days(datetime.now(UTC), first, last)
    except ValueError as error:
        raise click.UsageError(f"--from and --to: {error}. For older days use --as-of.") from None
