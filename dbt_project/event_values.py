"""The values of an event in a file: checked, and made ready for COPY."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def refuse(constant: str) -> None:
    """Stop at NaN and Infinity, which Python's JSON knows and PostgreSQL's does not."""
    raise ValueError(f"broken JSON: {constant} is not a JSON number")


# Made once: json.loads and json.dumps would make new ones for every line.
DECODER = json.JSONDecoder(parse_constant=refuse)
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def parse_object(text: str) -> dict:
    """Parse a JSON object. Raises ValueError, or RecursionError when nested too deeply."""
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON: {error.msg} at character {error.pos + 1}") from error
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON object: {shown(value)}")
    return value


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def storable(name: str, text: str) -> str:
    """Pass on a text that PostgreSQL can hold. Raises ValueError for any other."""
    if "\0" in text:
        raise ValueError(f"{name}: NUL character in {shown(text)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: invalid UTF-8 in {shown(text)}") from error
    return text


def text_of(record: dict, name: str) -> str | None:
    """Return a text, or None for a blank or absent one. Whole numbers serve as ids too."""
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: not a text: {shown(value)}")
    return storable(name, value) if value and value.strip() else None


def time_of(record: dict, name: str) -> datetime | None:
    """Return an aware UTC time cut to milliseconds, or None for a blank or absent one.

    A number from 10^8 to below 10^11 is unix seconds, from 10^11 on milliseconds: both begin
    in March 1973. Smaller ones are refused, or the date 20261124 would pass for a moment in
    1970. All else is ISO 8601, in UTC unless it carries an offset.
    """
    value = record.get(name)
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    try:
        if isinstance(value, float) or NUMBER.fullmatch(text):
            number = Decimal(text)
            if number < 10**8:
                raise ValueError(text)
            at = EPOCH + timedelta(milliseconds=int(number * 1000 if number < 10**11 else number))
        else:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        at = datetime.max
    except ValueError as error:
        raise ValueError(f"{name}: not a time: {shown(value)}") from error
    if not 1970 <= at.year <= 2199:
        raise ValueError(f"{name}: year out of range: {shown(value)}")
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def object_of(record: dict, name: str) -> str | None:
    """Return a JSON object, given as such or as its text, as text; None for an absent one."""
    value = record.get(name)
    try:
        if isinstance(value, str):
            value = parse_object(value) if value.strip() else None
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ValueError(f"not a JSON object: {shown(value)}")
        text = ENCODER.encode(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError(f"{name}: NUL character in {shown(text)}")
    return storable(name, text)
