"""Every error is sent as {"error": "<title>", "message": "<what to do>"}."""

import logging
from typing import ClassVar

from flask import Flask, Response, current_app, jsonify
from werkzeug.exceptions import HTTPException

from api.database import TooSlow, Unavailable
from dbt_project.messages import Failure

RETRY_AFTER_S = 5
MESSAGES = {
    404: "No such path. GET /openapi.json lists the endpoints.",
    405: "Use one of the methods in the header Allow.",
}
log = logging.getLogger("api")


class ApiError(Exception):
    status = 500
    title = "Internal Server Error"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


class InvalidRequest(ApiError):
    status = 400
    title = "Invalid request"


class Unauthorized(ApiError):
    status = 401
    title = "Unauthorized"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer realm="dashboard"'}


class WrongZone(ApiError):
    """The tables hold days of another zone than the server's."""


class ServiceUnavailable(ApiError):
    status = 503
    title = "Service Unavailable"


class Busy(ServiceUnavailable):
    headers: ClassVar[dict[str, str]] = {"Retry-After": str(RETRY_AFTER_S)}


def init_app(app: Flask) -> None:
    @app.errorhandler(ApiError)
    def known(error: ApiError) -> Response:
        if error.status == 500:
            log.error("%s", error)
        return _response(error.status, error.title, error.message, error.headers)

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> Response:
        log.warning("database unavailable: %s", error)
        if isinstance(error, TooSlow):
            seconds = current_app.extensions["settings"].statement_timeout_s
            message = (
                f"The query took longer than {seconds:g} seconds and was cancelled. Ask for fewer"
                " days, or set API_STATEMENT_TIMEOUT_S on the server to more seconds."
            )
        else:
            message = f"The database does not answer. Try again in {RETRY_AFTER_S} seconds."
        return _response(503, Busy.title, message, Busy.headers)

    @app.errorhandler(Failure)
    def unusable(error: Failure) -> Response:
        log.error("%s", error, exc_info=error.__cause__)
        return _response(503, ServiceUnavailable.title, str(error), {})

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        headers = {name: text for name, text in error.get_headers() if name == "Allow"}
        title = InvalidRequest.title if status == 400 else error.name
        return _response(status, title, MESSAGES.get(status, error.description or ""), headers)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("unexpected error", exc_info=error)
        message = "Something went wrong on the server; its log says what, under this request's id."
        return _response(500, ApiError.title, message, {})


def _response(status: int, title: str, message: str, headers: dict[str, str]) -> Response:
    response = jsonify(error=title, message=message)
    response.status_code = status
    response.headers.update(headers)
    response.headers["Cache-Control"] = "no-store"
    return response
