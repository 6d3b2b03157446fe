"""Responses to requests for metrics: JSON, CSV, or 304 without a body."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request

from api import csv_export
from api.database import Found, Row
from api.errors import WrongZone

# Part of every ETag. Raise it when a response changes its shape.
SHAPE = "2"


@dataclass(frozen=True)
class Endpoint:
    """What an endpoint reads: the key of its list, the jobs behind it, its statements.

    The first statements fill the lists of the keys in `also`, which come first and are no data.
    """

    name: str
    key: str
    jobs: tuple[str, ...]
    statements: tuple[str, ...]
    also: tuple[str, ...] = ()


DAILY = Endpoint("daily", "days", ("daily",), ("daily",))
EXPERIMENTS = Endpoint("experiments", "experiments", ("experiment",), ("experiments",))
READOUTS = Endpoint("readouts", "experiments", ("experiment", "readouts"), ("readouts",))
FUNNELS = Endpoint("funnels", "rows", ("funnel",), ("funnels",))
SUMMARY = Endpoint(
    "summary", "metrics", ("daily", "experiment"), ("summary_daily", "summary_experiments")
)
CONVERSIONS = Endpoint(
    "conversions",
    "rows",
    ("funnel", "conversions"),
    ("conversions_steps", "conversions"),
    also=("steps",),
)
RETENTION = Endpoint("retention", "rows", ("retention",), ("retention",))
ACTIVE = Endpoint("active", "rows", ("retention",), ("active",))
DIMENSIONS = Endpoint("dimensions", "rows", ("dimensions",), ("dimensions",))
OLD = (DAILY, EXPERIMENTS, FUNNELS, SUMMARY)
ENDPOINTS = (*OLD, READOUTS, CONVERSIONS, RETENTION, ACTIVE, DIMENSIONS)


def respond(
    endpoint: Endpoint,
    head: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    with_no_data: bool = True,
    as_csv: bool = False,
    excel: str | None = None,
) -> Response:
    """Return the response, with the keys of `head` first; 304 if the client already has it."""
    database = current_app.extensions["database"]
    queries = current_app.extensions["queries"]
    states = [queries[f"job_{job}"] for job in endpoint.jobs]
    given = sorted((name, str(value)) for name, value in values.items())
    asked = (SHAPE, endpoint.name, as_csv, excel, given)
    if as_csv or request.if_none_match:
        tag = _tag(_checked(database.rows_if_there(states, values, endpoint.jobs)), asked)
        if tag and request.if_none_match.contains_weak(tag):
            return _tagged(Response(status=304), tag)
    if as_csv:
        return _tagged(csv_export.respond(endpoint.name, values, endpoint.jobs, excel), tag)

    statements = [queries[statement] for statement in endpoint.statements]
    found = iter(database.rows_if_there([*states, *statements], values, endpoint.jobs))
    about = _checked([next(found) for _ in states])
    lists = {key: [item for (item,) in next(found)] for key in endpoint.also}
    items = [row for rows in found for row in rows]
    known = [rows[0][1] for rows in about if rows and rows[0][1]]
    head = {
        "generated_at": head["generated_at"],
        # The job that lags behind counts. Clocks differ: nothing is fresher than now.
        "data_as_of": min([*known, head["generated_at"]]) if known else None,
        **head,
    }
    if with_no_data:
        head["no_data"] = not any(has_data for _, has_data in items)
    response = with_items(head, {**lists, endpoint.key: [item for item, _ in items]})
    return _tagged(response, _tag(about, asked))


def with_items(head: Mapping[str, Any], lists: Mapping[str, Iterable[str]]) -> Response:
    """Return `head` as JSON, followed by lists of items that are JSON already."""
    text = json.dumps(head, separators=(",", ":"))
    body = "".join(f',"{key}":[{",".join(items)}]' for key, items in lists.items())
    return Response(f"{text[:-1]}{body}}}", mimetype="application/json")


def _checked(about: Found) -> Found:
    """Return the states of jobs. Raises WrongZone if their tables have days of another zone."""
    own = current_app.extensions["settings"].timezone.key
    found = {zone for rows in about for *_, zones in rows for zone in zones if zone}
    if others := sorted(found - {own}):
        mixed = "" if found == {others[0]} else " once all jobs have run for that zone"
        raise WrongZone(
            f"The tables have days of {' and '.join(others)}, but ROLLUP_TIMEZONE of this server is"
            f" {own}. Set ROLLUP_TIMEZONE={others[0]} here, and start the server again{mixed}."
        )
    return about


def _tag(about: Sequence[list[Row]], asked: tuple[Any, ...]) -> str | None:
    """Return the ETag, or None if it is unknown when the rows were written."""
    versions = [rows[0][0] for rows in about if rows and rows[0][0]]
    if len(versions) < len(about):
        return None
    return hashlib.sha256(repr((versions, asked)).encode()).hexdigest()[:32]


def _tagged(response: Response, tag: str | None) -> Response:
    if tag:
        # Weak, because generated_at differs, and a proxy may compress the body again.
        response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response
