"""The documentation of the models: dbt's site as one page that needs nothing beside it."""

import json
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dbt_project import ROOT, runner
from dbt_project.runner import DbtFailed

ICON = ROOT / "api" / "static" / "favicon.svg"


class PortTaken(Exception):
    """Something else listens on the port; the message says what to do."""


def build(environment: Mapping[str, str]) -> Path:
    """Build the page from the project and from what the database holds; return where it is.

    Tables that do not exist yet are described all the same. Raises DbtFailed when dbt cannot.
    """
    written: list[Path] = []

    def on_event(event: Any) -> None:
        if event.info.name == "CatalogWritten":
            written.append(Path(event.data.path))

    # Where dbt parses only what changed, it may lose the descriptions of singular tests.
    anew = ("--no-partial-parse", "--write-json")
    arguments = [*anew, "docs", "generate", "--static", *runner.QUIET]
    outcome = runner.dbt(arguments, environment, callbacks=[on_event])
    if not outcome.success or not written:
        raise DbtFailed(str(outcome.exception or "dbt built no page; logs/dbt.log says why."))
    page = _mended(written[0].with_name("static_index.html").read_text(encoding="utf-8"))
    folder = written[0].with_name("site")
    folder.mkdir(exist_ok=True)
    # A page that is being served or published is replaced whole.
    (folder / "index.html.new").write_text(page, encoding="utf-8")
    return (folder / "index.html.new").replace(folder / "index.html")


def server(port: int) -> ThreadingHTTPServer:
    """Return a server that listens on localhost and waits for `serve` to answer.

    Raises PortTaken.
    """
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), _Quiet)
    except OSError as error:
        raise PortTaken(f"Port {port} cannot be had: {error.strerror}. Try --port.") from None


def serve(server: ThreadingHTTPServer, page: Path) -> None:
    """Answer with the page until something is raised."""
    server.RequestHandlerClass = partial(_Quiet, directory=str(page.parent))
    server.serve_forever()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def _mended(page: str) -> str:
    """Return dbt's page with what is wrong in it put right."""
    icon = f"data:image/svg+xml,{quote(ICON.read_text(encoding='utf-8'))}"
    chosen = "{resource_types:l.selection.dirty.resource_types}"
    changes = {
        # Placeholders that were never filled in, and that a browser asks the server for.
        "${require('./assets/favicons/favicon.ico')}": icon,
        'xlink:href="{{ getIcon': 'ng-attr-href="{{ getIcon',
        "<title>dbt Docs</title>": "<title>Analytics Rollups</title>",
        # The lineage begins without the tests, which hide it; a click adds them.
        '"source","test","unit_test","analysis"': '"source","analysis"',
        "r.assign({},l.options": f"r.assign({{}},l.options,{chosen}",
        # A column's type as it is declared, where there is no table yet to look it up in.
        "{{ column.type }}": "{{ column.type || column.data_type }}",
        # The folder of whoever built it is nobody's business.
        json.dumps(str(ROOT))[1:-1]: ".",
    }
    for old, new in changes.items():
        page = page.replace(old, new)
    return page
