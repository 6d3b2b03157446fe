"""The log on stderr: one line of JSON per request, warning or error."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

from flask import Flask, Response, current_app, g, has_request_context, request

from dbt_project.window import iso

# Other parameters are not logged: `token` is a secret, and a client may send others by mistake.
LOGGED_PARAMETERS = (
    "window_days",
    "from",
    "to",
    "experiment_id",
    "funnel_name",
    "dimension",
    "complete",
    "format",
    "excel",
    "limit",
)
access = logging.getLogger("api.access")


class JsonLines(logging.Formatter):
    """One line of JSON per record. Masks the app's tokens, or `secrets` outside of a request."""

    def __init__(self, secrets: Sequence[str] = ()):
        super().__init__()
        self.secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": _masked(record.getMessage(), self.secrets),
        }
        if has_request_context():
            line["request_id"] = g.get("request_id")
        line |= getattr(record, "fields", {})
        if record.exc_info:
            text = "".join(traceback.format_exception(*record.exc_info))
            line["traceback"] = _masked(text, self.secrets)
        # ASCII, because clients may send other line ends and control characters.
        return json.dumps(line)


def configure() -> None:
    log_to_stderr("api", logging.INFO)
    log_to_stderr("psycopg.pool", logging.ERROR)


def log_to_stderr(name: str, level: int, secrets: Sequence[str] = ()) -> None:
    """Log to stderr as lines of JSON, unless the logger already has a handler."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines(secrets))
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False


def init_app(app: Flask) -> None:
    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        g.request_id = _request_id()


def finish(response: Response) -> None:
    """Add the request id to the response, and log the request when the body has been sent."""
    response.headers["X-Request-ID"] = g.request_id
    fields = {
        "request_id": g.request_id,
        "client": request.remote_addr,
        "method": request.method,
        "path": _masked(request.path),
        "query": {
            name: _masked(request.args[name]) for name in LOGGED_PARAMETERS if name in request.args
        },
        "status": response.status_code,
        "bytes": None if response.is_streamed else response.calculate_content_length(),
        "user_agent": _masked(request.headers.get("User-Agent")),
    }
    began = g.began

    def write() -> None:
        fields["ms"] = round((time.perf_counter() - began) * 1000, 1)
        access.info("request", extra={"fields": fields})

    response.call_on_close(write)


def _request_id() -> str:
    given = request.headers.get("X-Request-ID", "")
    if re.fullmatch("[A-Za-z0-9._~-]{1,128}", given) and _masked(given) == given:
        return given
    return uuid4().hex


def _masked(text: str | None, secrets: Sequence[str] = ()) -> str | None:
    """Mask tokens, which a client may have put into the wrong place."""
    if current_app:
        secrets = current_app.extensions["settings"].secrets
    if text and secrets:
        # WSGI decodes headers as Latin-1 and paths as UTF-8, and error messages quote them.
        plain = [spelling for s in secrets for spelling in (s, s.encode().decode("latin-1"))]
        spellings = {s for p in plain for s in (p, repr(p)[1:-1], quote(p))}
        for spelling in sorted(spellings, key=len, reverse=True):
            text = text.replace(spelling, "***")
    return text
