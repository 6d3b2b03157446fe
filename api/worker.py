"""Gunicorn's threaded worker, which answers requests that are no HTTP in JSON too."""

import json
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


class Worker(ThreadWorker):
    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if isinstance(exc, errors.ParseException):
            status = STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
            # Not the exception's text: it may quote the header that holds the token.
            self.log.warning("refused a malformed request: %s", type(exc).__name__)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("the server failed at a request", exc_info=exc)
        title = "Invalid request" if status == HTTPStatus.BAD_REQUEST else status.phrase
        body = json.dumps({"error": title, "message": "The request could not be read."}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "Connection: close\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode() + body)
        except OSError:
            self.log.debug("the client was gone before it was told")
