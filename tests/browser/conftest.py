"""The demo's database, the dashboard served on it, and Chromium."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
import tables
from dashboard import NOW, TOKEN, Visit, serving
from psycopg.conninfo import conninfo_to_dict

from dbt_project import demo

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "Chromium is not installed (on Debian: apt-get install chromium), or name it in CHROMIUM"

_skipped = []


def pytest_terminal_summary(terminalreporter) -> None:
    if _skipped:
        terminalreporter.section("THE DASHBOARD WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.write_line(MISSING)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        _skipped.append(True)
        # CI requires the browser.
        (pytest.fail if os.environ.get("REQUIRE_CHROMIUM") else pytest.skip)(MISSING)
    return found


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo_size() -> dict[str, int]:
    return {"users": 400, "days": 60}


@pytest.fixture(scope="session")
def demo_conninfo(lasting_database, demo_size, run_on) -> str:
    """A database where every job ran on the made-up app."""
    conninfo = lasting_database()
    with psycopg.connect(conninfo) as conn:
        demo.fill(conn, "public", NOW, **demo_size)
    run_on(tables.url_of(conninfo), "--as-of", NOW.isoformat(), "--window-days", "45")
    # The run log has the real time of the run.
    with psycopg.connect(conninfo) as conn:
        conn.execute("""
            update analytics.rollup_runs
            set started_at = as_of, finished_at = as_of + interval '9 seconds'
        """)
    return conninfo


@pytest.fixture(scope="session")
def site(demo_conninfo) -> Iterator[str]:
    with serving(demo_conninfo) as address:
        yield address


@pytest.fixture
def copy(lasting_database, demo_conninfo) -> Iterator[psycopg.Connection]:
    """A copy of the demo's database that the test may change."""
    name = conninfo_to_dict(demo_conninfo)["dbname"]
    with psycopg.connect(demo_conninfo, autocommit=True, dbname="postgres") as conn:
        query = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
        conn.execute(query, [name])
    with psycopg.connect(lasting_database(template=name), autocommit=True) as conn:
        yield conn


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve the app on a database as `serving` does, until the test's visits have ended."""
    with ExitStack() as servers:
        yield lambda *arguments, **named: servers.enter_context(serving(*arguments, **named))


@pytest.fixture
def visit(browser, serve) -> Iterator[Callable[..., Visit]]:
    """Open a page; when the test ends, the page must have logged no problem.

    `expected` is a part of the console's messages that the test provokes.
    """
    visits = []

    def visit(address, hash="", *, token: str | None = TOKEN, expected="", **options) -> Visit:
        visits.append(Visit(browser, address, token, expected, **options))
        visits[-1].open(hash)
        return visits[-1]

    yield visit
    for one in visits:
        assert one.leave() == []
