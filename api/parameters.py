"""Parses query parameters. Numbers and days have one accepted spelling each."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from api.errors import InvalidRequest
from dbt_project.window import Window

MAX_DAYS = 90
DEFAULT_DAYS = 7
MAX_RUNS = 1000
DEFAULT_RUNS = 20
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)

LINK = "token"  # the parameter of a link to a CSV file

Args = MultiDict[str, str]


def check_names(args: Args, *known: str) -> None:
    """Raise InvalidRequest for a parameter other than `known`, which would have no effect."""
    for name in args:
        if name not in known and not (name == LINK and "format" in known and is_link(args)):
            takes = f"only {', '.join(known)}" if known else "no parameters"
            raise InvalidRequest(f"Unknown parameter {name[:80]!r}: this endpoint takes {takes}.")


def window_days(args: Args) -> int:
    return _whole(args, "window_days", DEFAULT_DAYS, MAX_DAYS)


def limit(args: Args) -> int:
    return _whole(args, "limit", DEFAULT_RUNS, MAX_RUNS)


def window(args: Args, now: datetime, zone: ZoneInfo) -> Window:
    """Return the window that ends today, or the one from day `from` to day `to`."""
    if "from" not in args and "to" not in args:
        return Window(now, window_days(args), zone=zone)
    if "window_days" in args:
        raise InvalidRequest("Give window_days, or from and to, but not both.")
    first, last = _day(args, "from"), _day(args, "to")
    days = (last - first).days + 1
    if not 1 <= days <= MAX_DAYS:
        raise InvalidRequest(
            f"from and to must span 1 to {MAX_DAYS} days, both of them included; {days} were asked"
            " for."
        )
    return Window(now, days, last, zone)


def text(args: Args, name: str, *, trimmed: bool = True) -> str | None:
    """Return the text, `trimmed` of white space around it, or None, which means all, if blank."""
    value = _single(args, name) or ""
    if "\0" in value:
        raise InvalidRequest(f"{name} must not contain a NUL character.")
    stripped = value.strip()
    return (stripped if trimmed else value) if stripped else None


def is_csv(args: Args) -> bool:
    return _one_of(args, "format", "json", "csv") == "csv"


def is_link(args: Args) -> bool:
    """Return whether it is a link to a CSV file, which is asked before anything is checked."""
    return LINK in args and args.getlist("format") == ["csv"]


def excel(args: Args) -> str | None:
    """Return the separator of cells for which Excel is set up, or None for other programs."""
    separator = _one_of(args, "excel", "comma", "semicolon")
    if separator and not is_csv(args):
        raise InvalidRequest("excel needs format=csv.")
    return separator


def complete(args: Args) -> bool:
    return _one_of(args, "complete", "true", "false") == "true"


def values(window: Window, filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to bind in the statements of `sql/`."""
    return {"start": window.first, "end": window.last + timedelta(days=1), **filters}


def _whole(args: Args, name: str, default: int, most: int) -> int:
    value = _single(args, name)
    if value is None:
        return default
    # `\d` and int() accept digits of other scripts, signs and underscores.
    if not re.fullmatch("[1-9][0-9]{0,3}", value) or int(value) > most:
        raise InvalidRequest(f"{name} must be a whole number from 1 to {most}.")
    return int(value)


def _one_of(args: Args, name: str, *known: str) -> str | None:
    value = _single(args, name)
    if value not in (None, *known):
        raise InvalidRequest(f"{name} must be {' or '.join(known)}.")
    return value


def _day(args: Args, name: str) -> date:
    value = _single(args, name)
    if value is None:
        raise InvalidRequest("Give both from and to, as in from=2026-11-01&to=2026-11-23.")
    try:
        if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError
        day = date.fromisoformat(value)
    except ValueError:
        raise InvalidRequest(f"{name} must be a day such as 2026-11-23.") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidRequest(f"{name} must lie between {FIRST_DAY} and {LAST_DAY}.")
    return day


def _single(args: Args, name: str) -> str | None:
    given = args.getlist(name)
    if len(given) > 1:
        raise InvalidRequest(f"{name} is given {len(given)} times; give it once.")
    return given[0] if given else None
