"""Wishes to stop: each signal that means one is taken as Ctrl-C, where a run can take it.

A signal can arrive between any two instructions. What writes the run log must not be torn
apart there, so a wish interrupts only the blocks that allow it, and waits for one elsewhere.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 3  # so many signals end the process as they would have without this module

_wishes: list[int] = []
_interruptible = False


def heed() -> None:
    """From here on keep the signals for the blocks that allow a stop."""
    _wishes.clear()
    for number in SIGNALS:
        signal.signal(number, _notice)


@contextmanager
def allowed() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block when a signal arrives or has arrived before.

    Raises it at the end too: dbt stops its work at Ctrl-C, but keeps the exception to itself.
    """
    global _interruptible
    before, _interruptible = _interruptible, True
    try:
        _raise_if_wished()
        yield
    finally:
        _interruptible = before
        _raise_if_wished()


def _raise_if_wished() -> None:
    if _wishes:
        raise KeyboardInterrupt


def _notice(number: int, _: object) -> None:
    _wishes.append(number)
    if len(_wishes) >= PATIENCE:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    if _interruptible:
        raise KeyboardInterrupt
