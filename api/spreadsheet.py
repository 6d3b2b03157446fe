"""Rollup rows as CSV that a spreadsheet can open without running what an app sent."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import psycopg
from flask import Response, current_app

from api.database import NOT_THERE_YET
from api.errors import Busy

ROWS = 2000
SLOT_WAIT_S = 0.2  # an export of some hundred rows takes a tenth of it
# What a spreadsheet may take for a formula: a sign that begins one, also full-width or behind white
# space, and tabs and line breaks, behind which some programs begin a new cell.
SIGNS = "=+@-\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}" + (
    "\N{FULLWIDTH HYPHEN-MINUS}"
)
FORMULA = re.compile(rf"[\t\r\n]|[\s\ufeff\u200b]*[{re.escape(SIGNS)}]")


def respond(name: str, values: Mapping[str, Any]) -> Response:
    """Return the rows of an answer, read from the server as the client takes them."""
    database = current_app.extensions["database"]
    statement = current_app.extensions["queries"][f"{name}.csv"]
    slots = current_app.extensions["exports"]
    if not slots.acquire(timeout=SLOT_WAIT_S):
        raise Busy("Too many CSV exports are running. Try again in a few seconds.")
    with ExitStack() as stack:
        stack.callback(slots.release)
        # The first rows are read before the status goes out, so that an error can still be told.
        try:
            cursor = stack.enter_context(database.cursor(statement, values))
            response = Response(_blocks(cursor, cursor.fetchmany(ROWS)), mimetype="text/csv")
        except NOT_THERE_YET:
            response = Response("", mimetype="text/csv")
        # Not the iterator's work: one that is never begun, as for HEAD, never ends.
        response.call_on_close(stack.pop_all().close)
    last_day = values["end"] - timedelta(days=1)
    file = f"{name}_{values['start']}_{last_day}.csv"
    response.headers["Content-Disposition"] = f"attachment; filename={file}"
    return response


def _blocks(cursor: psycopg.ServerCursor, rows: list[tuple[Any, ...]]) -> Iterator[str]:
    names = [column.name for column in cursor.description or ()]
    number = names.index("value") if "value" in names else None
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(names)
    while rows:
        writer.writerows(
            [_safe(cell, nth == number) for nth, cell in enumerate(row)] for row in rows
        )
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        rows = cursor.fetchmany(ROWS)
    yield buffer.getvalue()


def _safe(cell: Any, is_number: bool) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str) and not is_number and FORMULA.match(cell):
        return f"'{cell}"
    return cell
