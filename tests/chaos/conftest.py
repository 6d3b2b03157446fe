"""A source that is worth fighting for."""

from datetime import datetime, timedelta

import pytest

JOURNEY = ("app_opened", "workout_started", "exercise_logged", "session_submitted")


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
