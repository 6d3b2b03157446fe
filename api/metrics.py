"""The endpoints below /v1."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, current_app, request

from api import parameters, responses
from api.auth import token_or_link_required, token_required
from api.responses import (
    ACTIVE,
    CONVERSIONS,
    DAILY,
    DIMENSIONS,
    EXPERIMENTS,
    FUNNELS,
    OLD,
    READOUTS,
    RETENTION,
    SUMMARY,
    Endpoint,
)
from dbt_project.window import Window, iso

WINDOWED = ("window_days", "from", "to", "format", "excel", "complete")
blueprint = Blueprint("v1", __name__, url_prefix="/v1")


@blueprint.get("/metrics/daily")
@token_or_link_required
def daily() -> Response:
    return _windowed(DAILY)


@blueprint.get("/metrics/experiments")
@token_or_link_required
def experiments() -> Response:
    return _windowed(EXPERIMENTS, "experiment_id")


@blueprint.get("/metrics/readouts")
@token_or_link_required
def readouts() -> Response:
    parameters.check_names(request.args, "experiment_id", "format", "excel")
    return responses.respond(
        READOUTS,
        {"generated_at": iso(current_app.extensions["now"]())},
        {"experiment_id": parameters.text(request.args, "experiment_id")},
        as_csv=parameters.is_csv(request.args),
        excel=parameters.excel(request.args),
    )


@blueprint.get("/metrics/funnels")
@token_or_link_required
def funnels() -> Response:
    return _windowed(FUNNELS, "funnel_name")


@blueprint.get("/metrics/conversions")
@token_or_link_required
def conversions() -> Response:
    return _windowed(CONVERSIONS, "dimension", "funnel_name")


@blueprint.get("/metrics/retention")
@token_or_link_required
def retention() -> Response:
    return _windowed(RETENTION, "dimension")


@blueprint.get("/metrics/active")
@token_or_link_required
def active() -> Response:
    return _windowed(ACTIVE, "dimension")


@blueprint.get("/metrics/dimensions")
@token_or_link_required
def dimensions() -> Response:
    return _windowed(DIMENSIONS, "dimension")


@blueprint.get("/metrics/load-tests/runs")
@token_required
def load_tests() -> Response:
    """Answer the old dashboard's page Benchmarks. There are no load tests here."""
    return _uncached({"runs": ()})


@blueprint.get("/metrics/summary")
def summary() -> Response:
    now = current_app.extensions["now"]()
    zone = current_app.extensions["settings"].timezone
    days = parameters.window_days(request.args)
    chosen = {"complete": parameters.complete(request.args), "window_days": days}
    values = parameters.values(Window(now, days, zone=zone), chosen)
    return responses.respond(SUMMARY, {"generated_at": iso(now)}, values, with_no_data=False)


@blueprint.get("/runs")
@token_required
def runs() -> Response:
    parameters.check_names(request.args, "limit")
    values = {"limit": parameters.limit(request.args)}
    statement = current_app.extensions["queries"]["runs"]
    (rows,) = current_app.extensions["database"].rows_if_there([statement], values)
    return _uncached({"runs": (item for (item,) in rows)})


def _uncached(lists: Mapping[str, Iterable[str]]) -> Response:
    head = {"generated_at": iso(current_app.extensions["now"]())}
    response = responses.with_items(head, lists)
    response.headers["Cache-Control"] = "no-store"
    return response


def _windowed(endpoint: Endpoint, *filters: str) -> Response:
    if endpoint not in OLD:
        parameters.check_names(request.args, *WINDOWED, *filters)
    now = current_app.extensions["now"]()
    zone = current_app.extensions["settings"].timezone
    window = parameters.window(request.args, now, zone)
    chosen: dict[str, Any] = {
        # A value of a dimension may begin or end with white space.
        name: parameters.text(request.args, name, trimmed=name != "dimension")
        for name in filters
    }
    chosen["complete"] = parameters.complete(request.args)
    head = {
        "generated_at": iso(now),
        "window_start": iso(window.start),
        "window_end": iso(window.end),
        "timezone": window.zone.key,
    }
    return responses.respond(
        endpoint,
        head,
        parameters.values(window, chosen),
        as_csv=parameters.is_csv(request.args),
        excel=parameters.excel(request.args),
    )
