"""Who may read: DASHBOARD_TOKEN in a header, or LINK_TOKEN in the URL of a CSV file."""

import hmac
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

from flask import current_app, request

from api import parameters
from api.errors import ServiceUnavailable, Unauthorized

HEADER = "x-dashboard-token"
View = Callable[..., Any]


def token_required(view: View, *, or_link: bool = False) -> View:
    """Check the token before everything else."""

    @wraps(view)
    def guarded(*arguments: Any, **named: Any) -> Any:
        settings = current_app.extensions["settings"]
        if not settings.token:
            raise ServiceUnavailable("Set DASHBOARD_TOKEN on the server to open this endpoint.")
        # A link is judged by its own token alone, so that a wrong one never seems to work.
        is_link = or_link and parameters.is_link(request.args)
        if is_link and not settings.link_token:
            raise Unauthorized("No link opens here until LINK_TOKEN is set on the server.")
        given = _of_link() if is_link else _of_headers()
        expected = settings.link_token if is_link else settings.token
        if not any(hmac.compare_digest(one, expected.encode()) for one in given):
            raise Unauthorized(
                f"Send DASHBOARD_TOKEN in the header {HEADER}, or as Authorization: Bearer. A URL"
                " may only hold LINK_TOKEN, as the parameter token, with format=csv."
            )
        return view(*arguments, **named)

    return guarded


token_or_link_required = partial(token_required, or_link=True)


def _of_link() -> Iterator[bytes]:
    if len(given := request.args.getlist(parameters.LINK)) == 1:
        yield given[0].encode()


def _of_headers() -> Iterator[bytes]:
    # WSGI decodes headers as Latin-1.
    yield request.headers.get(HEADER, "").encode("latin-1", "replace")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield token.strip(" ").encode("latin-1", "replace")
