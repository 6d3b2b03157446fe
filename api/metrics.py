"""The endpoints below /v1."""

from flask import Blueprint, Response, current_app, request

from api import parameters, responses
from api.auth import token_required
from api.responses import DAILY, EXPERIMENTS, FUNNELS, READOUTS, SUMMARY, Endpoint
from dbt_project.window import Window, iso

blueprint = Blueprint("v1", __name__, url_prefix="/v1")


@blueprint.get("/metrics/daily")
@token_required
def daily() -> Response:
    return _windowed(DAILY)


@blueprint.get("/metrics/experiments")
@token_required
def experiments() -> Response:
    return _windowed(EXPERIMENTS, "experiment_id")


@blueprint.get("/metrics/readouts")
@token_required
def readouts() -> Response:
    parameters.check_names(request.args, "experiment_id", "format")
    return responses.respond(
        READOUTS,
        {"generated_at": iso(current_app.extensions["now"]())},
        {"experiment_id": parameters.text(request.args, "experiment_id")},
        as_csv=parameters.is_csv(request.args),
    )


@blueprint.get("/metrics/funnels")
@token_required
def funnels() -> Response:
    return _windowed(FUNNELS, "funnel_name")


@blueprint.get("/metrics/summary")
def summary() -> Response:
    now = current_app.extensions["now"]()
    days = parameters.window_days(request.args)
    values = {**parameters.values(Window(now, days), {}), "window_days": days}
    return responses.respond(SUMMARY, {"generated_at": iso(now)}, values, with_no_data=False)


@blueprint.get("/runs")
@token_required
def runs() -> Response:
    parameters.check_names(request.args, "limit")
    values = {"limit": parameters.limit(request.args)}
    statement = current_app.extensions["queries"]["runs"]
    (rows,) = current_app.extensions["database"].rows_if_there([statement], values)
    head = {"generated_at": iso(current_app.extensions["now"]())}
    response = responses.with_items(head, "runs", (item for (item,) in rows))
    response.headers["Cache-Control"] = "no-store"
    return response


def _windowed(endpoint: Endpoint, *filters: str) -> Response:
    now = current_app.extensions["now"]()
    window = parameters.window(request.args, now)
    chosen = {name: parameters.text(request.args, name) for name in filters}
    head = {
        "generated_at": iso(now),
        "window_start": iso(window.start),
        "window_end": iso(window.end),
    }
    return responses.respond(
        endpoint,
        head,
        parameters.values(window, chosen),
        as_csv=parameters.is_csv(request.args),
    )
