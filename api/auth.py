"""The dashboard's token, which comes in the header x-dashboard-token."""

import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import current_app, request

from api.errors import ServiceUnavailable, Unauthorized

HEADER = "x-dashboard-token"


def token_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Check the token before everything else."""

    @wraps(view)
    def guarded(*arguments: Any, **named: Any) -> Any:
        expected = current_app.extensions["settings"].token
        if not expected:
            raise ServiceUnavailable("Set DASHBOARD_TOKEN on the server to open this endpoint.")
        # WSGI decodes headers as Latin-1.
        given = request.headers.get(HEADER, "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, expected.encode()):
            raise Unauthorized(f"Send the dashboard's token in the header {HEADER}.")
        return view(*arguments, **named)

    return guarded
