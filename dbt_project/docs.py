"""The documentation of the models: the page that `dbt docs generate --static` makes."""

import json
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click

from dbt_project import ROOT, runner


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def build(environment: Mapping[str, str]) -> Path:
    """Write the page into a folder of its own, to serve or publish. Raises DbtFailed."""
    written: list[Path] = []

    def on_event(event: Any) -> None:
        if event.info.name == "CatalogWritten":
            written.append(Path(event.data.path))

    # A partial parse may lose the descriptions of singular tests.
    arguments = ["--no-partial-parse", "--write-json", "docs", "generate", "--static"]
    outcome = runner.dbt([*arguments, *runner.QUIET], environment, callbacks=[on_event])
    if not outcome.success or not written:
        raise runner.DbtFailed(str(outcome.exception or "dbt built no page; see logs/dbt.log."))
    page = written[0].with_name("static_index.html").read_text(encoding="utf-8")
    folder = written[0].with_name("site")
    folder.mkdir(exist_ok=True)
    # Do not publish the path of the folder that it was built in.
    page = page.replace(json.dumps(str(ROOT))[1:-1], ".")
    new = folder / "index.html.new"
    new.write_text(page, encoding="utf-8")
    return new.replace(folder / "index.html")  # whole, even if it is being served


def server(port: int) -> ThreadingHTTPServer:
    """Return a server that listens on localhost."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Quiet)
    except OSError as error:
        raise click.ClickException(f"Port {port}: {error.strerror}. Try --port.") from None


def serve(server: ThreadingHTTPServer, page: Path) -> None:
    """Serve the page until something is raised."""
    server.RequestHandlerClass = partial(Quiet, directory=str(page.parent))
    server.serve_forever()
