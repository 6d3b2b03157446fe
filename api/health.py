"""Liveness and readiness."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from api import parameters
from api.database import Row
from dbt_project.window import JOBS, iso

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> Response:
    # Takes any parameter: probes add some against caches.
    return _uncached(jsonify(ok=True))


@blueprint.get("/ready")
def ready() -> Response:
    """Return 503 while the database is away. Old numbers are no error: they can be shown."""
    parameters.check_names(request.args)
    now = current_app.extensions["now"]()
    queries = current_app.extensions["queries"]
    statements = [queries[f"job_{job}"] for job in JOBS]
    found = current_app.extensions["database"].rows_if_there(statements, {})
    jobs = [_job(job, rows, now) for job, rows in zip(JOBS, found, strict=True)]
    settings = current_app.extensions["settings"]
    return _uncached(
        jsonify(
            ok=True,
            generated_at=iso(now),
            timezone=settings.timezone.key,
            key_events=settings.key_events,
            jobs=jobs,
        )
    )


def _job(name: str, rows: list[Row], now: datetime) -> dict[str, Any]:
    _, as_of, succeeded, computed, _ = rows[0] if rows else (None,) * 5
    known = as_of and min(datetime.fromisoformat(as_of), now)
    return {
        "job_name": name,
        "last_success_at": succeeded,
        "data_as_of": known and iso(known),
        "age_seconds": known and int((now - known).total_seconds()),
        "computed_at": computed,
    }


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
