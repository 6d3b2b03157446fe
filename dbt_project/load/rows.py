"""The tables that files are loaded into, and a file's values as their rows."""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from dbt_project import days
from dbt_project.messages import Failure

# Ten digits are seconds, and 13, 16 or 19 their thousandths and so on: from September 2001 on.
NUMBER = re.compile(r"(\d{10})((?:\d{3}){0,3})(?:\.(\d*))?", re.ASCII)
ZULU = re.compile(" ?(UTC|GMT)$")  # as BigQuery writes them
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)  # json.dumps makes one each time
NULL = "\0N"  # in a row; no other value has a NUL
Values = dict[str, Any]


class BadMapping(Failure):
    """A name of --map or --skip is wrong."""


def text(value: object) -> str:
    if not isinstance(value, str):
        if type(value) is not int:
            raise ValueError("not a text")
        return str(value)
    try:
        if not value.isascii():
            value.encode()
    except UnicodeEncodeError:
        raise ValueError("invalid UTF-8") from None
    if "\0" in value:
        raise ValueError("NUL character")
    return value


class Clock:
    """Reads times as text in UTC, cut to milliseconds.

    All but unix times are ISO 8601. Those without an offset are of `zone`: the first instant of a
    date alone, and the first of the two where clocks were set back.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.naive = self.twice = 0

    def __call__(self, value: object) -> str:
        given = str(value)
        try:
            at = instant(given)
        except ValueError:
            try:
                at = instant(ZULU.sub("Z", given.strip().upper()))
            except ValueError:
                raise ValueError("not a time") from None
        if 1969 <= at.year <= 2200:  # no offset can overflow
            if at.tzinfo is None:
                at = self.located(at, len(given.strip()) <= len("2026-11-24"))
            elif at.tzinfo is not UTC:
                at = at.astimezone(UTC)
        found = at.isoformat(timespec="milliseconds")
        if not "1970" <= found < "2200":
            raise ValueError("year out of range")
        return found

    def located(self, at: datetime, is_day: bool) -> datetime:
        self.naive += 1
        if is_day:
            start = days.start_of(at.date(), self.zone)
            if start.astimezone(self.zone).date() == at.date():
                return start
        first, second = (at.replace(tzinfo=self.zone, fold=fold).utcoffset() for fold in (0, 1))
        if is_day or first < second:  # type: ignore[operator]
            raise ValueError(f"not there in {self.zone.key}, where clocks were put forward")
        self.twice += first != second
        return (at - first).replace(tzinfo=UTC)  # type: ignore[operator]


def instant(given: str) -> datetime:
    """Return a time, aware where it has an offset or is a number. Raises ValueError."""
    if given[4:5] == "-":  # or 20261124 would pass for a day
        return datetime.fromisoformat(given)
    if not (number := NUMBER.fullmatch(given.strip())):
        raise ValueError
    milliseconds = f"{number[2]}{number[3] or ''}000"[:3]
    return datetime.fromtimestamp(int(number[1]), UTC) + timedelta(milliseconds=int(milliseconds))


def json_object(value: object) -> str:
    """Return a JSON object as text; as text it is given by a CSV file."""
    try:
        parsed = DECODER.decode(value) if isinstance(value, str) else value
        found = value if isinstance(value, str) else ENCODER.encode(value)
        if "\\u" in found:
            ENCODER.encode(parsed).encode()
        found.encode()
    except UnicodeEncodeError:
        raise ValueError("invalid UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON: {error}") from None
    except RecursionError:
        raise ValueError("broken JSON: nested too deeply") from None
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")
    if "\\u0000" in found and "\\u0000" in found.replace("\\\\", ""):
        raise ValueError("NUL character")
    return found


def refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which Python's JSON accepts and PostgreSQL's does not."""
    raise ValueError(f"broken JSON: {constant} is not a JSON number")


DECODER = json.JSONDecoder(parse_constant=refuse)


def integer(value: object) -> str:
    found = re.fullmatch(r"\s*([+-]?\d{1,9})(\.0*)?\s*", str(value), re.ASCII)
    if not found:
        raise ValueError("not an integer")
    return found[1]


def number(value: object) -> str:
    try:
        found = float(str(value))
    except ValueError:
        found = -1
    if not 0 <= found < float("inf"):
        raise ValueError("not a number from 0 on")
    return repr(found)


def boolean(value: object) -> str:
    word = str(value).strip().lower()
    if word not in ("true", "t", "yes", "1", "false", "f", "no", "0"):
        raise ValueError("not true or false")
    return word


def status(value: object) -> str:
    word = str(value).strip().upper()
    if word not in ("DRAFT", "RUNNING", "PAUSED", "ENDED"):
        raise ValueError("not DRAFT, RUNNING, PAUSED or ENDED")
    return word


def user_and_day(row: Values) -> str:
    return f"{row['anonymous_user_id']}:{row['occurred_at'][:10]}"


def now(_: Values) -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


REQUIRED = "required"
NAMES = {  # of columns that have several; messages use the first
    "anonymous_user_id": ("user", "anonymous_user_id", "user_id"),
    "event_name": ("event", "event_name"),
    "occurred_at": ("occurred_at", "time", "timestamp"),
    "assigned_at": ("assigned_at", "time", "timestamp"),
    "experiment_id": ("experiment", "experiment_id"),
    "variant_id": ("variant", "variant_id"),
}
# For each table and column what reads a value, and a constant or function for one left out.
TABLES: dict[str, dict[str, tuple[Callable[[Any], Any], Any]]] = {
    "event_logs": {
        "id": (text, NULL),
        "event_id": (text, NULL),
        "anonymous_user_id": (text, REQUIRED),
        "session_id": (text, user_and_day),
        "install_id": (text, itemgetter("anonymous_user_id")),
        "platform": (text, "unknown"),
        "app_version": (text, NULL),
        "event_name": (text, REQUIRED),
        "occurred_at": (Clock, REQUIRED),
        "received_at": (Clock, itemgetter("occurred_at")),
        "sent_at": (Clock, itemgetter("occurred_at")),
        "properties": (json_object, "{}"),
        "context": (json_object, "{}"),
        "assignment_version": (integer, "0"),
        "assignments": (json_object, "{}"),
        "experiment_map": (json_object, NULL),
        "schema_version": (integer, "1"),
    },
    "assignments": {
        "id": (text, NULL),
        "anonymous_user_id": (text, REQUIRED),
        "experiment_id": (text, REQUIRED),
        "variant_id": (text, REQUIRED),
        "assigned_at": (Clock, REQUIRED),
        "assignment_version": (integer, "1"),
        "context": (json_object, "{}"),
    },
    "experiments": {
        "experiment_id": (text, REQUIRED),
        "status": (status, REQUIRED),
        "start_at": (Clock, NULL),
        "end_at": (Clock, NULL),
        "targeting": (json_object, "{}"),
        "config_schema_version": (integer, "1"),
        "created_at": (Clock, now),
        "updated_at": (Clock, now),
    },
    "experiment_variants": {
        "id": (text, NULL),
        "experiment_id": (text, REQUIRED),
        "variant_id": (text, REQUIRED),
        "variant_name": (text, itemgetter("variant_id")),
        "is_control": (boolean, REQUIRED),
        "weight": (number, "1"),
        "config": (json_object, "{}"),
        "created_at": (Clock, now),
    },
}
EVENTS = "event_logs"
EXTRA = "properties"  # of events takes the columns that are none of ours
# What tells the rows of a file from each other, and, if it has no ids, makes one.
UNIQUE = {
    EVENTS: ("id",),
    "assignments": ("anonymous_user_id", "experiment_id"),
    "experiments": ("experiment_id",),
    "experiment_variants": ("experiment_id", "variant_id"),
}


def named(column: str) -> str:
    return NAMES.get(column, (column,))[0]


def plain(name: str) -> str:
    """Return the form that occurredAt, Occurred At and occurred_at have in common."""
    return re.sub(r"[\s_-]", "", name).casefold()


class Reader:
    """Reads a file's values as rows of a table.

    `mapping` are pairs of a column of ours and of the file's name for it, and `skipped` are names
    of columns that are left out. Raises BadMapping for names that are none.
    """

    def __init__(
        self,
        table: str,
        zone: ZoneInfo,
        mapping: Iterable[tuple[str, str]] = (),
        skipped: Iterable[str] = (),
    ) -> None:
        self.table, self.clock = table, Clock(zone)
        self.known = {
            plain(name): column for column in TABLES[table] for name in NAMES.get(column, (column,))
        }
        self.mapped: dict[str, str] = {}
        mapping, skipped = [*mapping], [*skipped]
        for ours, theirs in mapping:
            if plain(ours) not in self.known:
                names = ", ".join(map(named, TABLES[table]))
                raise BadMapping(f"--map: {shown(ours)} is no column of {table}: {names}.")
            if plain(theirs) in self.mapped or self.known[plain(ours)] in self.mapped.values():
                raise BadMapping(f"--map: {shown(f'{ours}={theirs}')} names a column twice.")
            self.mapped[plain(theirs)] = self.known[plain(ours)]
        taken = self.mapped.values()
        self.known = {name: of for name, of in self.known.items() if of not in taken} | self.mapped
        self.skipped = set(map(plain, skipped))
        if both := self.skipped & set(self.mapped):
            raise BadMapping(f"--map and --skip both name {', '.join(sorted(both))}.")
        # What was asked for and is in no file yet, and what became properties.
        self.unseen = {plain(name): name for name in (*(name for _, name in mapping), *skipped)}
        self.extras: dict[str, None] = {}
        self.unnamed = False
        self.empty: list[str] = []  # files
        defaults = {column: default for column, (_, default) in TABLES[table].items()}
        self.required = [column for column in defaults if defaults[column] is REQUIRED]
        self.derived = [(column, given) for column, given in defaults.items() if callable(given)]
        computed = (*self.required, *dict(self.derived))
        self.blank: Values = {
            name: None if name in computed else defaults[name] for name in defaults
        }
        self.plan = lru_cache(self._plan)

    def _plan(self, names: tuple[str, ...]) -> list[tuple[str, str, Callable | None]]:
        """Return column, name in messages and reader of a file's columns. Raises ValueError."""
        found: list[tuple[str, str, Callable | None]] = []
        unknown = []
        for name in names:
            key, column = plain(name), ""
            self.unseen.pop(key, None)
            if column := "" if key in self.skipped else self.known.get(key, ""):
                read = TABLES[self.table][column][0]
                found.append((column, named(column), self.clock if read is Clock else read))
            elif key in self.skipped:
                found.append(("", "", None))
            elif not key:
                self.unnamed = True
                found.append(("", "", None))
            elif self.table == EVENTS:
                try:
                    found.append((EXTRA, text(name.strip()), None))
                except ValueError as error:
                    raise ValueError(f"a column's name: {error}: {shown(name)}") from None
                if len(self.extras) < 1000:
                    self.extras[name.strip()] = None
            else:
                unknown.append(shown(name))
        if unknown:
            more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
            raise ValueError(f"unknown column: {', '.join(unknown[:20])}{more}")
        seen = Counter((column, name) for column, name, _ in found if column)
        for (_, name), count in seen.items():
            if count > 1:
                raise ValueError(f"{name}: in more than one column")
        columns = {column for column, _, read in found if read}
        for column in self.required:
            if column not in columns:
                raise ValueError(f"{named(column)}: no such column{self.other_names(column)}")
        return found

    def other_names(self, column: str) -> str:
        for theirs, ours in self.mapped.items():
            if ours == column:
                return f" as {shown(self.unseen.get(theirs, theirs))}, which --map names"
        others = NAMES.get(column, (column,))[1:]
        return f" (nor {' or '.join(others)})" if others else ""

    def is_row(self, value: object) -> bool:
        try:
            return isinstance(value, dict) and bool(self.plan(tuple(value)))
        except ValueError:
            return False

    def notes(self) -> list[str]:
        """Return sentences on what a person may not expect."""
        notes, zone, clock = [], self.clock.zone.key, self.clock
        if self.empty:
            notes.append(f"No row was in: {', '.join(self.empty)}.")
        if self.extras:
            names = [*map(shown, self.extras)]
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            notes.append(
                f"Columns that went into properties: {', '.join(names[:20])}{more}."
                " --map renames columns, and --skip leaves them out."
            )
        if self.unnamed:
            notes.append("A column without a name was left out.")
        if clock.naive and zone != "UTC":
            notes.append(f"{clock.naive:,} times without an offset were read as {zone}.")
        if clock.twice:
            notes.append(
                f"{clock.twice:,} of them were there twice, since clocks were set back: they count"
                " as the first of the two."
            )
        return notes

    def row(
        self, names: tuple[str, ...], values: Iterable[Any], empty: Collection[str]
    ) -> list[str]:
        """Return the values of the table's columns; an id may be None. Raises ValueError."""
        row = self.blank.copy()
        extras: Values = {}
        for (column, name, read), value in zip(self.plan(names), values, strict=True):
            if value is None or (value.__class__ is str and value.strip() in empty):
                continue
            if read:
                try:
                    row[column] = read(value)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}: {shown(value)}") from None
            elif column:
                extras[name] = value
        if extras:
            row[EXTRA] = with_extras(row[EXTRA], extras)
        for column in self.required:
            if row[column] is None:
                raise ValueError(f"{named(column)}: empty or NULL")
        for column, default in self.derived:
            if row[column] is None:
                row[column] = default(row)
        return [*row.values()]


def with_extras(properties: str, extras: Values) -> str:
    """Return the properties with further ones. Raises ValueError for two of one name."""
    if properties != "{}":
        given = DECODER.decode(properties)
        if both := set(given) & set(extras):
            raise ValueError(f"{EXTRA}: {shown(min(both))} is in it, and a column too")
        extras = given | extras
    try:
        return json_object(extras)
    except ValueError as error:
        raise ValueError(f"{EXTRA}: {error}: {shown(extras)}") from None


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def pairs(given: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (ours, theirs) of --map: OUR=THEIR by comma, in quotes where a name has a comma.

    `@FILE` has lines of the same, and comments, which begin with #. Raises BadMapping, and OSError.
    """
    for text in given:
        if text.startswith("@"):
            try:
                lines = Path(text[1:]).read_text(encoding="utf-8-sig").splitlines()
            except UnicodeDecodeError:
                raise BadMapping(f"--map: {text[1:]} is not in UTF-8.") from None
            items = [
                item for line in lines if not line.lstrip().startswith("#") for item in listed(line)
            ]
        else:
            items = listed(text)
        for item in items:
            ours, equals, theirs = (part.strip() for part in item.partition("="))
            if not (ours and equals and plain(theirs)):
                raise BadMapping(f"--map: write user=THEIR_NAME in place of {shown(item)}.")
            yield ours, theirs


def listed(text: str) -> list[str]:
    """Return the items of a list by comma, in quotes where one has a comma."""
    return [
        item
        for line in csv.reader(text.splitlines(), skipinitialspace=True)
        for item in line
        if item
    ]
