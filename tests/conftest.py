"""One PostgreSQL for the session, a database for each test, and the command line in-process.

TEST_DATABASE_URL names a server to use instead of the one that comes as a Python wheel; its role
must be a superuser, since tests create databases and roles.
"""

import gc
import json
import os
import re
import signal
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
import quick_dbt
import spark_here
import tables
import throwaway
from click.testing import CliRunner
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

from cli import cli as command_line
from dbt_project import retry, runner, signals
from dbt_project.source import create_source_tables

pytest_plugins = ["api_fixtures"]  # session-wide, so that their databases are created once

# No test reads a clock's time zone by accident: the databases live in Nepal, at +05:45.
TIME_ZONE = "Asia/Kathmandu"
TOGETHER = {
    "tests/api/": "api",
    "tests/chaos/clients/": "api",
    "tests/browser/": "browser",
    "tests/chaos/test_planted_functions.py": "planted functions",
}
LONGEST = ("test_spark.py", "test_extending.py", "test_workflows.py")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def pytest_configure(config: pytest.Config) -> None:
    spark_here.check()
    # dbt reopens its log for every command, and leaves the old one to the garbage collector.
    config.addinivalue_line("filterwarnings", "ignore:unclosed file .*dbt.log:ResourceWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The slowest first, so that the workers end at about the same time.
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    spark_here.tell(terminalreporter)


class Scheduling(LoadScopeScheduling):
    """Send tests that share databases and servers to one worker, which creates them once."""

    def _split_scope(self, nodeid: str) -> str:
        found = (scope for folder, scope in TOGETHER.items() if nodeid.startswith(folder))
        return next(found, nodeid)


@pytest.hookimpl(optionalhook=True)  # xdist's; its groups by mark get lost in pytest 9.2
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @cached_property
    def summary(self) -> Any:
        """The last line of the output, where it is JSON."""
        return json.loads(self.stdout.splitlines()[-1])

    def of_jobs(self, field: str) -> dict[str, Any]:
        """One field of the summary, by job."""
        return {job["job_name"]: job[field] for job in self.summary["jobs"]}


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """The session's folder, for files that must not be in the project."""
    with throwaway.memory_folder() as folder:
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _settings(scratch) -> Iterator[None]:
    """Keep the caller's settings out of the commands, and their files out of the project."""
    ours = (
        "DATABASE_URL", "SOURCE_SCHEMA", "ANALYTICS_SCHEMA", "ROLLUP_TIMEZONE", "ROLLUP_SEEDS",
        "KEY_EVENT",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in ours or name.startswith(("PG", "DBT_")):
                patch.delenv(name)
        for name in ("ROLLUP_HOME", "DBT_TARGET_PATH", "DBT_LOG_PATH"):
            patch.setenv(name, f"{scratch}/{name.lower()}")
        patch.setenv("DBT_WRITE_JSON", "false")  # takes a fifth of a run, and no test reads it
        quiet = ["none" if word == "debug" else word for word in runner.QUIET]
        patch.setattr(runner, "QUIET", quiet)  # no test reads the log
        patch.setattr(retry, "WAITS_S", (0.01,) * 3)
        quick_dbt.patch(patch)
        gc.freeze()  # or every collection looks through the 100,000 objects of dbt's modules
        yield


@pytest.fixture(scope="session")
def server(scratch) -> Iterator[str]:
    """The conninfo of a superuser on the tests' own server."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with throwaway.postgres(scratch / "postgres") as uri:
        yield uri


@pytest.fixture(scope="session")
def maintenance(server: str) -> Iterator[psycopg.Connection]:
    """A connection that creates and drops databases and roles."""
    with psycopg.connect(server, autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="session")
def lasting_database(server, maintenance) -> Iterator[Callable[..., str]]:
    """Create a database for the session, optionally from a template; return its conninfo."""
    with throwaway.databases(maintenance, server, "lasting") as create:
        yield create


@pytest.fixture
def new_database(server, maintenance) -> Iterator[Callable[..., str]]:
    """Create a database for the test; return its URL."""
    with throwaway.databases(maintenance, server, "test") as create:
        yield lambda name=None, **changes: tables.url_of(create(name), **changes)


@pytest.fixture
def database_url(new_database) -> str:
    """The URL of an empty database."""
    return new_database()


@pytest.fixture
def db(database_url) -> Iterator[psycopg.Connection]:
    """A connection to an empty database."""
    with psycopg.connect(database_url) as conn:
        yield conn


@pytest.fixture
def source(database_url) -> Iterator[tables.App]:
    """The four source tables, empty, in a database whose own time zone is not UTC."""
    with tables.connect(database_url) as conn:
        create_source_tables(conn, "public")
        name = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL(f"alter database {{}} set timezone to '{TIME_ZONE}'").format(name))
        yield tables.App(conn)


def parse_file(arguments: tuple) -> str:
    """Return a file name for dbt's parse cache, one for each database, schema and --vars.

    The usual database gets dbt's default name, which commands in other processes also read.
    """
    names = ("DATABASE_URL", "ANALYTICS_SCHEMA", "SOURCE_SCHEMA")
    given = [os.environ.get(name, "") for name in names]
    if "--vars" in arguments:
        given.append(arguments[arguments.index("--vars") + 1])
    usual = rf"postgresql://postgres@[^/]*/rollup_test_{os.getpid()}_0(\?.*)?"
    if re.fullmatch(usual, "".join(given)):
        return "partial_parse.msgpack"
    return f"partial_parse_{zlib.crc32(repr(given).encode())}.msgpack"


def invoke(*arguments: object) -> Outcome:
    """Run the command line in this process, on the database that DATABASE_URL names."""
    from dbt.parser import manifest

    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    umask = os.umask(0o022)
    os.umask(umask)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(manifest, "PARTIAL_PARSE_FILE_NAME", parse_file(arguments))
            result = CliRunner().invoke(command_line, [str(argument) for argument in arguments])
    finally:
        gc.enable()  # a run disables it, since its process is short-lived
        os.umask(umask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signals._received.clear()  # or the next command of this process would stop at once
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def run_on(_settings) -> Callable[..., None]:
    """Run a command on a database that several tests read; it must succeed."""

    def run(url: str, *arguments: object) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_URL", url)
            outcome = invoke(*arguments)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr

    return run


@pytest.fixture
def guarded(source, database_url, maintenance):
    """The URL of a role that may read the source and write to schema analytics, and no more."""
    # Roles belong to the whole server, on which other tests may be running.
    maintenance.execute("select pg_advisory_lock(hashtext(%s))", [tables.GUARDED])
    source.conn.execute(
        sql.SQL("""
            drop role if exists {role};
            create role {role} login password {password};
            create schema analytics;
            grant usage, create on schema analytics to {role};
            grant select on all tables in schema public to {role}
        """).format(role=sql.Identifier(tables.GUARDED), password=tables.PASSWORD)
    )
    yield tables.url_of(database_url, user=tables.GUARDED, password=tables.PASSWORD)
    source.do(f"drop owned by {tables.GUARDED}; drop role {tables.GUARDED}")
    maintenance.execute("select pg_advisory_unlock(hashtext(%s))", [tables.GUARDED])


@pytest.fixture
def cli(database_url, monkeypatch) -> Callable[..., Outcome]:
    """Run the command line on the test's database, in this process."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return invoke


@pytest.fixture
def run(cli) -> Callable[..., Outcome]:
    """Run jobs as of NOW, or another time, with the summary in JSON."""

    def invoke(*arguments: object, as_of: object = tables.NOW) -> Outcome:
        zone = "+00:00" if isinstance(as_of, datetime) else ""
        return cli("--json", "--as-of", f"{as_of}{zone}", *arguments)

    return invoke
