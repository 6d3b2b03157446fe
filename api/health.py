"""Whether the process is alive, and whether it can answer."""

import json

from flask import Blueprint, Response, current_app, jsonify

from api import responses
from dbt_project.window import JOBS, iso

blueprint = Blueprint("health", __name__)
NEVER = {"last_success_at": None, "data_as_of": None, "age_seconds": None}


@blueprint.get("/health")
def health() -> Response:
    return _uncached(jsonify(ok=True))


@blueprint.get("/ready")
def ready() -> Response:
    """Return 503 while the database is away, but not for old numbers, which can be shown."""
    now = current_app.extensions["now"]()
    statement = current_app.extensions["queries"]["ready"]
    values = {"jobs": list(JOBS), "now": now}
    (rows,) = current_app.extensions["database"].rows_if_there([statement], values)
    jobs = [item for (item,) in rows] or [json.dumps({"job_name": job, **NEVER}) for job in JOBS]
    head = {"ok": True, "generated_at": iso(now)}
    return _uncached(responses.with_items(head, "jobs", jobs))


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
