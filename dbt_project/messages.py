"""Messages to the person at the terminal: made safe to print, and the exit status of failures."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg

FAILED, HELD, INTERRUPTED = 1, 3, 130
STOPPED = "Stopped. The run log says FAILED if the run had begun; unfinished work was rolled back."
# Control characters, except line feed and tab; marks that turn the direction of the text; and what
# cannot be encoded.
UNSAFE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Failure(Exception):
    """An expected failure; the message is for a person and holds no secret."""

    status = FAILED


class DatabaseError(Failure):
    """The database cannot be used; the message is one sentence."""


def printable(text: str) -> str:
    """Return `text` with unsafe characters escaped.

    A message of the database or of dbt may quote a name that a user of the app made up, and a
    terminal obeys control characters.
    """
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def echo(text: str, *, err: bool = False) -> None:
    click.echo(printable(text), err=err)


@contextmanager
def failures(as_json: bool = False, stopped: str = STOPPED) -> Iterator[None]:
    """Print an expected failure, or that a signal came, on stderr; exit with its status."""
    try:
        yield
    except (Failure, OSError, psycopg.Error) as error:
        message, status = str(error).strip(), getattr(error, "status", FAILED)
        if isinstance(error, psycopg.errors.QueryCanceled) and "timeout" in message:
            message += ". Raise statement_timeout of the role, or shorten the window."
    except (KeyboardInterrupt, click.Abort):
        message, status = stopped, INTERRUPTED
    else:
        return
    echo(f"Error: {message}", err=True)
    if as_json:
        click.echo(json.dumps({"ok": False, "error": message}))
    sys.exit(status)
