"""What differs from app to app, from environment variables: its zone, events, seeds, lake."""

import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dbt_project import ROOT
from dbt_project.messages import Failure

KEY_EVENT = "session_submitted"
SEEDS = ("funnel/funnel_steps.csv", "experiment/experiment_metrics.csv")
UTC = ZoneInfo("UTC")


class BadSetting(Failure):
    """A setting is invalid; the message says which one, and what to write instead."""


def timezone(name: str | None = None, option: str = "") -> ZoneInfo:
    """Return the zone of this name, or else that of all days, from ROLLUP_TIMEZONE.

    Raises BadSetting for an unknown one.
    """
    setting = "ROLLUP_TIMEZONE" if name is None else option
    if name is None:
        name = os.environ.get("ROLLUP_TIMEZONE", "").strip() or "UTC"
    try:
        # Other names lead to files of the machine, such as `localtime`, or out of the folder.
        if not re.fullmatch("[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*", name):
            raise ZoneInfoNotFoundError
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        raise BadSetting(
            f"{setting}: {name!r} is no zone of the IANA time zone database, such as"
            " Europe/Berlin or UTC."
        ) from None


def key_events() -> tuple[str, ...]:
    """Return the names of the key events, from KEY_EVENT, several by comma.

    Raises BadSetting where it holds no name.
    """
    given = os.environ.get("KEY_EVENT") or KEY_EVENT
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",")))
    if "" in names:
        raise BadSetting(
            f"KEY_EVENT: {given!r} has an empty name. Name the events that count, several by comma:"
            " order_placed,subscription_started."
        )
    return names


def lake_path() -> str:
    """Return where the event log is in a lake, from LAKE_PATH as it is given; empty without one."""
    return os.environ.get("LAKE_PATH", "").strip()


def seeds() -> Path:
    """Return the folder of the funnels' steps and the experiments' metrics, from ROLLUP_SEEDS.

    Raises BadSetting where it lacks one of the files, or is not in this project.
    """
    given = os.environ.get("ROLLUP_SEEDS", "") or "seeds"
    # dbt writes the SQL of a seed below `target`, at its path; an absolute path is the seed itself.
    if given.startswith("/") or ".." in given.split("/"):
        raise BadSetting(
            f"ROLLUP_SEEDS: {given} is not in this project, and dbt would write into it. Name a"
            " folder in the project, such as my_seeds; it may be a symbolic link."
        )
    for name in SEEDS:
        if not (ROOT / given / name).is_file():
            raise BadSetting(
                f"ROLLUP_SEEDS: there is no {name} in {given}. Copy the folder seeds of this"
                " project, and change the copy."
            )
    return ROOT / given
