"""Messages about trouble to the Apprise URLs of ALERT_URLS: one when something changes.

Who was told what is remembered in the table `rollup_alerts`, by target and key of the trouble. One
transaction reads it, sends and writes, under a lock: of two checks at once only one sends. What
keeps the database from being asked is remembered in a file of ROLLUP_HOME instead.
"""

import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from dbt_project import check, home, our_tables, run_log
from dbt_project.check import START, Found
from dbt_project.database import (
    analytics_schema,
    connect,
    database,
    database_name,
    source_schema,
)
from dbt_project.messages import Failure, echo, one_line
from dbt_project.run_log import JobHeld, JobRun
from dbt_project.settings import BadSetting

AWAY = "away"
MOST_LINES = 15
DDL = """
    create table if not exists {} (
        target text not null,
        trouble text not null,
        message text not null,
        told_at timestamptz not null default clock_timestamp(),
        seen_at timestamptz not null default clock_timestamp(),
        primary key (target, trouble)
    );
    comment on table {} is 'What was told to whom, and is not over yet.'
"""
# What was not seen for long has another URL, and would be news again.
FORGET = "delete from {} where seen_at < now() - interval '14 days'"
TOLD = """
    insert into {} (target, trouble, message) values (%s, %s, %s)
    on conflict (target, trouble) do update set seen_at = excluded.seen_at
"""
OVER = "delete from {} where target = %s and trouble = any(%s)"


@dataclass(frozen=True)
class Target:
    """Where messages go: a name without secrets, an id for the table, and Apprise's object."""

    name: str
    id: str
    service: Any


def targets() -> list[Target]:
    """Return the targets of ALERT_URLS. Raises BadSetting, with no part of a URL."""
    given = os.environ.get("ALERT_URLS", "").strip()
    if not given:
        raise BadSetting(
            "--notify needs ALERT_URLS: the Apprise URLs to tell, such as"
            " slack://token_a/token_b/token_c; see docs/alerts.md."
        )
    try:
        import apprise
    except ModuleNotFoundError:
        raise BadSetting(
            "--notify needs Apprise, which is not installed: run `pip install --constraint"
            " constraints.txt '.[alerts]'`."
        ) from None
    # Apprise's warnings quote URLs.
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    asset = apprise.AppriseAsset(async_mode=False, app_id="Analytics Rollups")
    services = apprise.Apprise(asset=asset)
    if not services.add(given) or not len(services):
        raise BadSetting(
            "ALERT_URLS holds what is no URL of Apprise, or lacks a part of one:"
            f" {len(services)} were understood. docs/alerts.md has examples."
        )
    found: dict[str, Target] = {}
    for number, service in enumerate(services, start=1):
        # Slow and short, so that a password of the URL cannot be guessed from the table.
        digest = hashlib.scrypt(service.url().encode(), salt=b"rollup_alerts", n=2**14, r=8, p=1)
        name = f"{service.service_name} (number {number} of ALERT_URLS)"
        found.setdefault(digest.hex()[:8], Target(name, digest.hex()[:8], service))
    return list(found.values())


def check_and_tell(conninfo: str, given: list[Target], max_age_hours: int) -> tuple[Found, bool]:
    """Check, and tell what changed. Return what is wrong, and whether all messages arrived."""
    schemas = source_schema(), analytics_schema()
    if given:
        return _tell(conninfo, given, lambda conn: check.check(conn, *schemas, max_age_hours))
    with closing(connect(conninfo, autocommit=True)) as conn, conn.transaction():
        return check.check(conn, *schemas, max_age_hours), True


def tell_runs(conninfo: str, given: list[Target], runs: list[JobRun]) -> bool:
    """Tell of jobs that failed, or no longer fail. Return whether all messages arrived."""
    found: Found = {}
    for run in runs:
        found |= {} if run.ok else check.failed_job(run.job_name, run.errors[0])
    scope = {START, *(f"run:{run.job_name}" for run in runs)}
    return _tell(conninfo, given, lambda _: found, scope)[1]


@contextmanager
def of_a_failed_start(given: list[Target], jobs: tuple[str, ...]) -> Iterator[None]:
    """Tell of an exception that keeps jobs from running; another run of them is none."""
    try:
        yield
    except (Failure, OSError, psycopg.Error) as error:
        if given and not isinstance(error, JobHeld):
            message = f"A run could not start: {_short(error)}"

            def find(conn: psycopg.Connection) -> Found:
                failed = check.failed_jobs(conn, analytics_schema(), jobs)
                return failed or {START: message}

            with of_an_outage(given, message), database() as conninfo:
                _tell(conninfo, given, find, only_new=True)
        raise


@contextmanager
def of_an_outage(given: list[Target], message: str = "") -> Iterator[None]:
    """Tell of an exception that keeps the database from being asked, and hand it on."""
    try:
        yield
    except (Failure, OSError, psycopg.Error) as error:
        found = {AWAY: message or f"The check could not run: {_short(error)}"}
        with _told_of_outages(create=True) as told:
            for target in given:
                if target.id not in told and _deliver(target, "", found, {}, {}):
                    told.add(target.id)
        if not message:
            raise


def _tell(
    conninfo: str,
    given: list[Target],
    find: Callable[[psycopg.Connection], Found],
    scope: set[str] | None = None,
    only_new: bool = False,
) -> tuple[Found, bool]:
    """Tell each target what it does not know yet, and what is over of `scope`, or of all."""
    schema = analytics_schema()
    table = _table(schema)
    with closing(connect(conninfo, autocommit=True)) as conn:
        run_log.create(conn, schema)
        with conn.transaction(), _told_of_outages() as outages:
            run_log.keep_open(conn)
            key = f"{schema}:alerts"
            conn.execute(f"select pg_advisory_xact_lock({run_log.LOCK_KEY})", [key])
            our_tables.check_code(conn, schema)
            if not check.exists(conn, schema, "rollup_alerts"):
                conn.execute(sql.SQL(DDL).format(table, table))
            conn.execute(sql.SQL(FORGET).format(table))
            found = find(conn)
            arrived = True
            for target in given:
                query = sql.SQL("select trouble, message from {} where target = %s").format(table)
                told: Found = dict(conn.execute(query, [target.id]).fetchall())
                over = {
                    key: text
                    for key, text in told.items()
                    if key not in found and not only_new and (scope is None or key in scope)
                }
                if target.id in outages and not only_new:
                    over[AWAY] = "The database could not be checked."
                new = {key: text for key, text in found.items() if key not in told}
                still = {key: found.get(key, text) for key, text in told.items() if key not in over}
                if new or over:
                    if not _deliver(target, database_name(conn), new, still, over):
                        arrived = False
                        continue
                    outages.discard(target.id)
                conn.execute(sql.SQL(OVER).format(table), [target.id, list(over)])
                for key, text in found.items():
                    conn.execute(sql.SQL(TOLD).format(table), [target.id, key, text])
        return found, arrived


def _deliver(target: Target, place: str, new: Found, still: Found, over: Found) -> bool:
    """Send one message; say so on stderr where it does not arrive."""
    import apprise

    lines: list[str] = []
    for heading, found in (("New", new), ("Still", still), ("Over", over)):
        lines += [f"{heading}:", *(f"- {text}" for text in found.values())] if found else []
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"… and {len(lines) - MOST_LINES} more: see `python cli.py check`."]
    count = len(new) + len(still)
    state = f"{count} problem{'s' * (count > 1)}" if count else "all is well again"
    one = apprise.Apprise(asset=target.service.asset)
    one.add(target.service)
    reasons = _Reasons()
    logging.getLogger("apprise").addHandler(reasons)
    try:
        arrived = one.notify(
            title=f"Analytics Rollups: {state}",
            body="\n".join([*lines, *([f"In {place}."] if place else [])]),
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=apprise.NotifyType.WARNING if count else apprise.NotifyType.SUCCESS,
        )
    finally:
        logging.getLogger("apprise").removeHandler(reasons)
    if not arrived:
        why = f" (HTTP {reasons.status})" if reasons.status else ""
        echo(f"{target.name} did not take the message{why}; the next call tries again.", err=True)
    return bool(arrived)


class _Reasons(logging.Handler):
    """Keep the HTTP status of what Apprise logs, and nothing else, as it may hold secrets."""

    status = ""

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"error[=:] ?(\d{3})\b", record.getMessage()):
            self.status = found[1]


@contextmanager
def _told_of_outages(create: bool = False) -> Iterator[set[str]]:
    """Yield the ids of the targets that were told of an outage, to be changed."""
    path = home.folder() / "told_of_outages"
    with ExitStack() as opened:
        file = None
        # Without a folder to remember in, each call tells.
        with suppress(Failure, OSError):
            if create or path.exists():
                home.private_folder(path.parent)
                file = opened.enter_context(path.open("a+"))
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
        before = set(file.read().split()) if file else set()
        told = set(before)
        yield told
        if file and told != before:
            file.truncate(0)
            file.write("\n".join(sorted(told)))


def _table(schema: str) -> sql.Identifier:
    return sql.Identifier(schema, "rollup_alerts")


def _short(error: BaseException) -> str:
    return one_line((str(error).strip().splitlines() or [type(error).__name__])[0])[:300]
