"""Rollup rows as CSV. `csv_text` in `sql/macros.sql` keeps spreadsheets from running formulas."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import psycopg
from flask import Response, current_app
from psycopg.errors import UndefinedTable

from api.database import Row
from api.errors import Busy

ROWS = 2000
MARK = "\ufeff"  # without it, Excel reads letters beyond ASCII as other ones
SLOT_WAIT_S = 0.2  # an export of a few hundred rows takes a tenth of it


def respond(
    name: str, values: Mapping[str, Any], jobs: Sequence[str], excel: str | None = None
) -> Response:
    """Return an endpoint's rows as a stream. Raises Busy if too many exports run already.

    `excel` is the separator in the countries where the file is opened: `comma`, or `semicolon`,
    where numbers have a decimal comma.
    """
    separator, decimal = (";", ",") if excel == "semicolon" else (",", ".")
    values = {**values, "decimal": decimal}
    database = current_app.extensions["database"]
    statement = current_app.extensions["queries"][f"{name}.csv"]
    slots = current_app.extensions["exports"]
    if not slots.acquire(timeout=SLOT_WAIT_S):
        raise Busy("Too many CSV exports are running. Try again in a few seconds.")
    with ExitStack() as stack:
        stack.callback(slots.release)
        # Read the first rows before the status is sent, so that an error still gets its own.
        try:
            cursor = stack.enter_context(database.cursor(statement, values))
            response = Response(
                _blocks(cursor, cursor.fetchmany(ROWS), MARK if excel else "", separator),
                mimetype="text/csv",
            )
        except UndefinedTable:
            database.check_tables(jobs)
            response = Response("", mimetype="text/csv")
        # Not in the iterator: for HEAD it never starts, and so would never end.
        response.call_on_close(stack.pop_all().close)
    days = ""
    if "end" in values:
        days = f"_{values['start']}_{values['end'] - timedelta(days=1)}"
    response.headers["Content-Disposition"] = f"attachment; filename={name}{days}.csv"
    return response


def _blocks(
    cursor: psycopg.ServerCursor, rows: list[Row], mark: str, separator: str
) -> Iterator[str]:
    buffer = io.StringIO()
    buffer.write(mark)
    writer = csv.writer(buffer, delimiter=separator)
    writer.writerow(column.name for column in cursor.description or ())
    while rows:
        writer.writerows(rows)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        rows = cursor.fetchmany(ROWS)
    yield buffer.getvalue()
