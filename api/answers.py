"""Turns a request for an answer into a response: JSON or CSV, whole or 304."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request

from api import spreadsheet

# Goes into every ETag: raise it when the shape of an answer changes.
SHAPE = "1"


@dataclass(frozen=True)
class Answer:
    """An endpoint's answer: the key of its list, the jobs behind it, the statements it takes."""

    name: str
    key: str
    jobs: tuple[str, ...]
    statements: tuple[str, ...]


DAILY = Answer("daily", "days", ("daily",), ("daily",))
EXPERIMENTS = Answer("experiments", "experiments", ("experiment",), ("experiments",))
FUNNELS = Answer("funnels", "rows", ("funnel",), ("funnels",))
SUMMARY = Answer(
    "summary", "metrics", ("daily", "experiment"), ("summary_daily", "summary_experiments")
)


def respond(
    answer: Answer,
    head: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    with_no_data: bool = True,
    as_csv: bool = False,
) -> Response:
    """Return the answer with the keys of `head` first, 304 if the client has it already."""
    database = current_app.extensions["database"]
    queries = current_app.extensions["queries"]
    versions = [queries[f"version_{job}"] for job in answer.jobs]
    asked = (SHAPE, answer.name, as_csv, sorted((name, str(v)) for name, v in values.items()))
    if as_csv or request.if_none_match:
        tag = _tag(database.rows_if_there(versions, values), asked)
        if tag and request.if_none_match.contains_weak(tag):
            return _tagged(Response(status=304), tag)
    if as_csv:
        return _tagged(spreadsheet.respond(answer.name, values), tag)

    bodies = [queries[statement] for statement in answer.statements]
    found = database.rows_if_there([*versions, *bodies], values)
    about, parts = found[: len(versions)], [part or (True, None) for part in found[len(versions) :]]
    head = {
        "generated_at": head["generated_at"],
        # Of several jobs the one that lags behind says how fresh the answer is.
        "data_as_of": min((row[1] for row in about if row and row[1]), default=None),
        **head,
    }
    if with_no_data:
        head["no_data"] = all(no_data for no_data, _ in parts)
    items = ",".join(items for _, items in parts if items)
    body = f'{json.dumps(head, separators=(",", ":"))[:-1]},"{answer.key}":[{items}]}}'
    return _tagged(Response(body, mimetype="application/json"), _tag(about, asked))


def _tag(about: list[tuple[Any, ...] | None], asked: tuple[Any, ...]) -> str | None:
    """Return what tells two answers apart; None where nothing says when the rows were written."""
    versions = [row[0] for row in about if row and row[0]]
    if len(versions) < len(about):
        return None
    return hashlib.sha256(repr((versions, asked)).encode()).hexdigest()[:32]


def _tagged(response: Response, tag: str | None) -> Response:
    if tag:
        # Weak, because generated_at differs, and a proxy may pack the body anew.
        response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response
