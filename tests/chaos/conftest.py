"""A source that is worth fighting for."""

from datetime import datetime, timedelta

import pgbouncer
import pytest
import throwaway
import tls
from chaos_helpers import Sway

JOURNEY = ("app_opened", "workout_started", "exercise_logged", "session_submitted")


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = str([report.longrepr for report in terminalreporter.stats.get("skipped", [])])
    for missing in (pgbouncer.MISSING, tls.MISSING):
        if missing in skipped:
            terminalreporter.section("POOLER OR TLS WAS NOT TESTED", sep="!", red=True, bold=True)
            terminalreporter.write_line(missing)


@pytest.fixture
def folder():
    """A folder for servers: the next session of pytest would lock pytest's own against them."""
    with throwaway.memory_folder() as folder:
        yield folder


@pytest.fixture
def lively(source):
    """Users a to h of two variants, first seen 13, 12, … days ago, who come back every day."""
    source.experiment("x", ("A", "B"))
    source.experiment("over", ("A",), status="ENDED", end_at=datetime(2026, 11, 20))
    for nth, user in enumerate("abcdefgh"):
        variant = "AB"[nth % 2]
        first = datetime(2026, 11, 10, 9 + nth) + timedelta(days=nth)
        source.assign(user, "x", variant, first)
        for day in range(14 - nth):
            for step, name in enumerate(JOURNEY):
                moment = first + timedelta(days=day, minutes=step)
                source.event(moment, name, user, mapping={"x": variant})
    return source


@pytest.fixture
def sway(source) -> Sway:
    return Sway(source)
