"""One event of a file: its columns, their values, and its row in `event_logs`."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, Json, PlainValidator, StrictInt, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

NUMBER = re.compile(r"[+-]?[\d.]+", re.ASCII)
STRICT = TypeAdapter(datetime)


def lenient_time(value: object) -> datetime:
    """Parse what pydantic does not: blanks around, and forms like the offset +00 of PostgreSQL."""
    text = str(value).strip()
    return STRICT.validate_python(text) if NUMBER.fullmatch(text) else datetime.fromisoformat(text)


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")] | StrictInt
Lenient = Annotated[datetime, PlainValidator(lenient_time)]
Time = Annotated[datetime | Lenient, Field(union_mode="left_to_right")]
Object = Json[dict[str, Any]] | dict[str, Any]


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
WORDS = {  # in place of pydantic's, by the beginning of its error's type
    "date": "not a time",
    "dict_type": "not a JSON object",
    "json_type": "not a JSON object",
    "missing": "empty or NULL",
    "string_pattern_mismatch": "NUL character",
    "string_type": "not a text",
    "string_unicode": "invalid UTF-8",
}
FIRST_NUMBER = "1973-03-03T09:46:40.000+00:00"  # 10^8 seconds, or 10^11 milliseconds
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)  # json.dumps makes one each time
VALIDATOR = TypeAdapter(Event)


def event_row(record: dict[str, Any]) -> tuple:
    """Return the values of EVENT_COLUMNS. Raises ValueError for a bad value.

    The id may be None. Times are texts in UTC, cut to milliseconds.
    """
    try:
        event = VALIDATOR.validate_python(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        words = (WORDS[kind] for kind in WORDS if first["type"].startswith(kind))
        value = "" if first["type"] == "missing" else f": {shown(first['input'])}"
        raise ValueError(f"{first['loc'][0]}: {next(words, first['msg'])}{value}") from None
    given: Any = event.get
    at = time_text("occurred_at", event["occurred_at"], record)
    received, sent = (
        time_text(name, given(name), record) if name in record else at
        for name in ("received_at", "sent_at")
    )
    properties, context, assignments, experiments = (
        json_text(name, record[name]) if name in record else None
        for name in ("properties", "context", "assignments", "experiment_map")
    )
    user = event["user"]
    return (
        *(given("id"), given("event_id"), user, given("session_id") or f"{user}:{at[:10]}"),
        *(given("install_id") or user, given("platform", "unknown"), given("app_version")),
        *(event["event"], at, received, sent, properties or "{}", context or "{}"),
        *(given("assignment_version", 0), assignments or "{}", experiments),
        given("schema_version", 1),
    )


def time_text(name: str, at: datetime, record: dict[str, Any]) -> str:
    """Return the time of a record's column in UTC.

    Numbers are unix seconds or milliseconds. Both begin in March 1973, or the date 20261124
    would pass for a moment of 1970. All else is ISO 8601, in UTC unless it carries an offset.
    """
    if 1969 <= at.year <= 2200:  # no offset can overflow
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    text = at.isoformat(timespec="milliseconds")
    if not "1970" <= text < "2200":
        raise ValueError(f"{name}: year out of range: {shown(record[name])}")
    if text < FIRST_NUMBER and NUMBER.fullmatch(str(record[name]).strip()):
        raise ValueError(f"{name}: not a time: {shown(record[name])}")
    return text


def json_text(name: str, value: object) -> str:
    """Return a JSON object as text; as text it is given by a CSV file."""
    try:
        if not isinstance(value, str):
            value = ENCODER.encode(value)
        elif "NaN" in value or "Infinity" in value:
            DECODER.decode(value)
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: invalid UTF-8: {shown(value)}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: {error}") from None
    if "\\u0000" in value and "\\u0000" in value.replace("\\\\", ""):
        raise ValueError(f"{name}: NUL character: {shown(value)}")
    return value


def refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which Python's JSON accepts and PostgreSQL's does not."""
    raise ValueError(f"broken JSON: {constant} is not a JSON number")


DECODER = json.JSONDecoder(parse_constant=refuse)


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
