"""The OpenAPI description, and the page /docs that shows it."""

import json
from pathlib import Path

from flask import Blueprint, Response, render_template

blueprint = Blueprint("docs", __name__)
FILE = Path(__file__).with_name("openapi.json")
HEADERS = {"Cache-Control": "public, max-age=300"}
# The page loads nothing and runs no script.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@blueprint.get("/openapi.json")
def openapi() -> Response:
    return Response(FILE.read_bytes(), mimetype="application/json", headers=HEADERS)


@blueprint.get("/docs")
def page() -> Response:
    html = render_template("docs.html", api=json.loads(FILE.read_text()))
    headers = {**HEADERS, "Content-Security-Policy": POLICY}
    return Response(html, mimetype="text/html", headers=headers)
