"""Run the jobs every hour where there is no cron, as in a container."""

import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn

import psycopg

from dbt_project import ROOT, days
from dbt_project.database import connect, database, database_name, source_schema
from dbt_project.messages import Failure, echo
from dbt_project.settings import BadSetting, timezone
from dbt_project.source import existing_source_tables

# Not on the full hour, when much else runs. docs/scheduling.md says what each brings up to date.
MINUTE = 53
SHORT = ("--job", "daily", "--window-days", "2")
FULL = ("--window-days", "14")
POLL_S = 5


def forever(told: tuple[str, ...]) -> NoReturn:
    """Run the jobs at once and every hour, and check the numbers after each run.

    The first run of a day is a full one, until one succeeded. `told` are options of each command.
    Where there is no event log yet, waits for it, and then for the hour: who creates it may be
    running the jobs, too.
    """
    full_on: date | None = None
    late = _wait_for_events()
    while True:
        if late:
            at = next_slot(datetime.now(UTC))
            echo(f"The next run is at {at:%Y-%m-%d %H:%M} UTC.", err=True)
            while (now := datetime.now(UTC)) < at:  # a machine may sleep meanwhile
                time.sleep(min((at - now).total_seconds(), 60))
        today, late = days.today(datetime.now(UTC), timezone()), True
        if full_on == today:
            _command(*SHORT, *told)
        elif _command(*FULL, *told) == 0:
            full_on = today
        _command("check", *told)


def next_slot(now: datetime) -> datetime:
    slot = now.replace(minute=MINUTE, second=0, microsecond=0)
    return slot if slot > now else slot + timedelta(hours=1)


def _wait_for_events() -> bool:
    """Wait until there is an event log; return whether there was none. Says what is missing."""
    said = ""
    while True:
        try:
            with database() as conninfo, closing(connect(conninfo)) as conn:
                if "event_logs" in existing_source_tables(conn, source_schema()):
                    return bool(said)
                reason = (
                    f"Waiting for the app's tables: {database_name(conn)} has no event_logs in"
                    f" schema {source_schema()}. `demo` and `load` create one."
                )
        except BadSetting:
            raise  # which waiting does not mend
        except (Failure, psycopg.Error) as error:
            reason = f"Waiting for the database: {error}"
        if reason != said:
            echo(reason, err=True)
        said = reason
        time.sleep(POLL_S)


def _command(*arguments: str) -> int:
    """Run `python cli.py` with these arguments; return its status. A signal stops it, too."""
    process = subprocess.Popen([sys.executable, ROOT / "cli.py", *arguments])
    try:
        return process.wait()
    finally:
        process.terminate()
        process.wait()
