"""One event of a file: its columns, their values, and its row in `event_logs`."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, PlainValidator, StrictInt, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

NUMBER = re.compile(r"[+-]?[\d.]+", re.ASCII)
FIRST_NUMBER = "1973-03-03T09:46:40.000+00:00"  # 10^8 seconds, or 10^11 milliseconds
UNIX_TIME = TypeAdapter(datetime)
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)  # json.dumps makes one each time


def utc(value: object) -> str:
    """Return a time in UTC, cut to milliseconds.

    Numbers are unix seconds or milliseconds. Both begin in March 1973, or the date 20261124
    would pass for a moment of 1970. All else is ISO 8601, in UTC unless it carries an offset.
    """
    text = str(value).strip().upper()
    number = NUMBER.fullmatch(text)
    try:
        at = UNIX_TIME.validate_python(text) if number else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("not a time") from None
    if 1969 <= at.year <= 2200:  # no offset can overflow
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    text = at.isoformat(timespec="milliseconds")
    if not "1970" <= text < "2200":
        raise ValueError("year out of range")
    if number and text < FIRST_NUMBER:
        raise ValueError("not a time")
    return text


def json_object(value: object) -> str:
    """Return a JSON object as text; as text it is given by a CSV file."""
    try:
        parsed = DECODER.decode(value) if isinstance(value, str) else value
        text = value if isinstance(value, str) else ENCODER.encode(value)
        if "\\u" in text:
            ENCODER.encode(parsed).encode()
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("invalid UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON: {error}") from None
    except RecursionError:
        raise ValueError("broken JSON: nested too deeply") from None
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")
    if "\\u0000" in text and "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("NUL character")
    return text


def refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which Python's JSON accepts and PostgreSQL's does not."""
    raise ValueError(f"broken JSON: {constant} is not a JSON number")


DECODER = json.JSONDecoder(parse_constant=refuse)
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")] | StrictInt
Time = Annotated[str, PlainValidator(utc)]
Object = Annotated[str, PlainValidator(json_object)]


class Required(TypedDict):
    user: Text
    event: Text
    occurred_at: Time


class Event(Required, total=False):
    """The columns that a file may have; the last seven are for exports of an `event_logs`."""

    received_at: Time
    experiment_map: Object
    id: Text
    session_id: Text
    platform: Text
    app_version: Text
    properties: Object
    event_id: Text
    install_id: Text
    sent_at: Time
    context: Object
    assignments: Object
    assignment_version: int
    schema_version: int


COLUMNS = tuple(Event.__annotations__)
ALIASES = {
    "user": ("anonymous_user_id", "user_id"),
    "event": ("event_name",),
    "occurred_at": ("time", "timestamp"),
}
WORDS = {  # in place of pydantic's
    "missing": "empty or NULL",
    "string_pattern_mismatch": "NUL character",
    "string_type": "not a text",
    "string_unicode": "invalid UTF-8",
}
VALIDATOR = TypeAdapter(Event)


def event_row(record: dict[str, Any]) -> tuple:
    """Return the values of EVENT_COLUMNS. Raises ValueError for a bad value.

    The id may be None. Times are texts in UTC, cut to milliseconds.
    """
    try:
        event: Any = VALIDATOR.validate_python(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        words = WORDS.get(first["type"], first["msg"].removeprefix("Value error, "))
        value = "" if first["type"] == "missing" else f": {shown(first['input'])}"
        raise ValueError(f"{first['loc'][0]}: {words}{value}") from None
    given, user, at = event.get, event["user"], event["occurred_at"]
    return (
        *(given("id"), given("event_id"), user, given("session_id") or f"{user}:{at[:10]}"),
        *(given("install_id") or user, given("platform", "unknown"), given("app_version")),
        *(event["event"], at, given("received_at", at), given("sent_at", at)),
        *(given("properties", "{}"), given("context", "{}"), given("assignment_version", 0)),
        *(given("assignments", "{}"), given("experiment_map"), given("schema_version", 1)),
    )


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
