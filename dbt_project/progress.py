"""What a person sees while dbt works: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from dbt_project.runner import ENDED_WELL, Step


@contextmanager
def steps_shown(live: bool) -> Iterator[Callable[[Step], None]]:
    """Yield the function to call with each step; everything goes to stderr."""
    if live:
        with _live() as show:
            yield show
    else:
        yield _print


@contextmanager
def counted(label: str, live: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that shows how far something has come."""
    shown_at = time.monotonic()

    def lines(done: int, total: int) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at > 5:
            shown_at = time.monotonic()
            click.echo(f"{label}: {100 * done // max(total, 1)} %", err=True)

    if not live:
        yield lines
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def advance(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield advance


def _print(step: Step) -> None:
    if step.status:
        click.echo(_line(step), err=True)


def _line(step: Step) -> str:
    mark = "ok  " if step.status in ENDED_WELL else "FAIL"
    note = f", {step.message}" if step.kind != "test" and step.message else ""
    if mark == "FAIL":
        note = f", {step.status}"
    return f"{mark} {step.kind:<5} {step.name} ({step.seconds:.1f} s{note})"


@contextmanager
def _live() -> Iterator[Callable[[Step], None]]:
    from rich.console import Console  # only where somebody watches: it takes time to import
    from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        waiting = progress.add_task("dbt starts")
        tasks: dict[str, TaskID] = {}

        def show(step: Step) -> None:
            progress.update(waiting, visible=False)
            if not step.status:
                tasks[step.unique_id] = progress.add_task(f"{step.kind} {step.name}")
                return
            if step.unique_id in tasks:
                progress.remove_task(tasks.pop(step.unique_id))
            good = step.status in ENDED_WELL
            progress.console.print(
                _line(step), style="green" if good else "bold red", highlight=False, markup=False
            )

        yield show
