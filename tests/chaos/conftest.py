"""Sources for the slow tests, and a folder for servers."""

from collections.abc import Callable
from datetime import datetime

import pgbouncer
import pytest
import throwaway
import tls
from api_answers import answers
from chaos_helpers import Sway, fill
from tables import NOW, differences, expected, image, stored


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = str([report.longrepr for report in terminalreporter.stats.get("skipped", [])])
    for missing in (pgbouncer.MISSING, tls.MISSING):
        if missing in skipped:
            terminalreporter.section("POOLER OR TLS WAS NOT TESTED", sep="!", red=True, bold=True)
            terminalreporter.write_line(missing)


@pytest.fixture
def folder():
    """A folder for servers: the next pytest session closes pytest's own to other users."""
    with throwaway.memory_folder() as folder:
        yield folder


@pytest.fixture
def lively(source):
    """A source with users a to h, who come back every day."""
    fill(source)
    return source


@pytest.fixture
def changes_nothing(source, run, database_url):
    """Assert that a run writes and the API answers the same before and after a change."""

    def check(change: Callable[[], object], now: datetime = NOW) -> None:
        assert run(as_of=now).exit_code == 0
        assert differences(stored(source.conn), expected(source.rows(), now, 14)) == []
        before = image(source.conn, but="computed_at"), answers(database_url, now)
        source.do("drop schema analytics cascade")
        change()
        outcome = run(as_of=now)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        assert image(source.conn, but="computed_at") == before[0]
        assert answers(database_url, now) == before[1]

    return check


@pytest.fixture
def sway(source) -> Sway:
    return Sway(source)
