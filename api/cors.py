"""CORS: lets pages of the origins in CORS_ORIGINS call the API. Off by default."""

from flask import Flask, Response, current_app, request

METHODS = "GET, HEAD, OPTIONS"
REQUEST_HEADERS = "x-dashboard-token, authorization, if-none-match, x-request-id"
RESPONSE_HEADERS = "ETag, X-Request-ID, Retry-After, Content-Disposition"


def init_app(app: Flask) -> None:
    @app.before_request
    def preflight() -> Response | None:
        # Browsers send the preflight without the token.
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or not _allowed():
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = "600"
        return response


def add_headers(response: Response) -> None:
    if not current_app.extensions["settings"].cors_origins:
        return
    response.vary.add("Origin")
    if origin := _allowed():
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = RESPONSE_HEADERS


def _allowed() -> str | None:
    origin, allowed = request.headers.get("Origin"), current_app.extensions["settings"].cors_origins
    return origin if origin and (origin in allowed or "*" in allowed) else None
