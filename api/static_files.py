"""The dashboard: one page and its static files."""

import hashlib
from pathlib import Path

from flask import Blueprint, Response, abort, request
from werkzeug.wrappers import Response as BaseResponse

blueprint = Blueprint("static_files", __name__)
FOLDER = Path(__file__).with_name("static")
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
HEADERS = {
    "Cache-Control": "no-cache",
    # No inline code, no other origins, and no text that turns into markup.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


def files(folder: Path) -> dict[str, Path]:
    """Return the files below `folder` that are served, by their path in a URL."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        # A symbolic link must not lead out of the folder.
        if path.suffix in TYPES
        and path.is_file()
        and path.resolve().is_relative_to(folder.resolve())
    }


# Paths of requests are looked up here and never reach the file system.
FILES = files(FOLDER)


@blueprint.get("/", strict_slashes=False)  # an empty path would be redirected
def index() -> BaseResponse:
    return _file("index.html")


@blueprint.get("/static/<path:name>")
def static(name: str) -> BaseResponse:
    return _file(name)


def _file(name: str) -> BaseResponse:
    path = FILES.get(name) or abort(404)
    body = path.read_bytes()
    response = Response(body, mimetype=TYPES[path.suffix], headers=HEADERS)
    # Weak, because the body may be compressed.
    response.set_etag(hashlib.sha256(body).hexdigest()[:32], weak=True)
    return response.make_conditional(request)
