"""How a command of the command line fails: with a sentence on stderr and an exit status."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg

from dbt_project.database import DatabaseError
from dbt_project.purges import PurgedKept
from dbt_project.run_log import JobHeld
from dbt_project.runner import DbtFailed
from dbt_project.source import SourceIncomplete, SourceNotEmpty

FAILED, HELD, INTERRUPTED = 1, 3, 130
STOPPED = "Stopped. The run log says FAILED if it had begun; what was not done was undone."


@contextmanager
def failures(
    as_json: bool = False, also: tuple[type[Exception], ...] = (), stopped: str = STOPPED
) -> Iterator[None]:
    """Turn what can go wrong into a sentence on stderr and an exit status."""
    expected: tuple[type[Exception], ...] = (
        DatabaseError,
        DbtFailed,
        SourceIncomplete,
        SourceNotEmpty,
        PurgedKept,
        psycopg.Error,
        *also,
    )
    try:
        yield
    except JobHeld as error:
        _fail(error, HELD, as_json)
    except expected as error:
        _fail(error, FAILED, as_json)
    except (KeyboardInterrupt, click.Abort):
        _fail(stopped, INTERRUPTED, as_json)


def _fail(error: object, status: int, as_json: bool) -> None:
    message = str(error).strip()
    click.echo(f"Error: {message}", err=True)
    if as_json:
        click.echo(json.dumps({"ok": False, "error": message}))
    sys.exit(status)
