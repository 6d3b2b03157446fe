"""The API and its dashboard: a Flask app that reads the analytics schema and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import cast

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider

from api import (
    access_log,
    compression,
    cors,
    docs,
    errors,
    health,
    metrics,
    queries,
    static_files,
)
from api.database import Database
from api.settings import Settings, from_environment


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings | None = None, *, now: Callable[[], datetime] = utc_now) -> Flask:
    """Return the app. It connects to the database on the first request that needs it."""
    settings = settings or from_environment()
    app = Flask(__name__, static_folder=None)
    # A redirect would be the only response that is not JSON.
    app.url_map.merge_slashes = False
    cast(DefaultJSONProvider, app.json).sort_keys = False
    app.extensions["settings"] = settings
    app.extensions["database"] = Database(settings)
    app.extensions["queries"] = queries.load(settings.schema)
    app.extensions["now"] = now
    app.extensions["exports"] = BoundedSemaphore(settings.exports)

    access_log.configure()
    access_log.init_app(app)
    cors.init_app(app)
    errors.init_app(app)
    for module in (metrics, health, docs, static_files):
        app.register_blueprint(module.blueprint)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        cors.add_headers(response)
        compression.compress(response)
        if response.status_code in (204, 304):
            response.headers.pop("Content-Type", None)
        elif "CONTENT_LENGTH" in request.environ:
            # No endpoint takes a body. Without a known length the server closes the connection, so
            # that no second request can be smuggled in behind the body.
            response.response = response.iter_encoded()
            response.headers.pop("Content-Length", None)
        access_log.finish(response)
        return response

    return app
