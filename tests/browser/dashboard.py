"""Serves the dashboard in this process; a `Visit` is one page in a context of its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from api_helpers import TOKEN
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, ConsoleMessage, Request
from werkzeug.serving import WSGIRequestHandler, make_server

from api import create_app
from api.settings import Settings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AXE = AXE_FILE_PATH.read_text()
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
KEY = "dashboard-token"


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_) -> None: ...


@contextmanager
def serving(conninfo: str, token: str | None = TOKEN, now: datetime = NOW) -> Iterator[str]:
    """Serve the app on a database with a fixed clock; yield its address."""
    app = create_app(Settings(conninfo, token=token), now=lambda: now)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["database"].pool.close()


class Visit:
    """A page, and the problems it had."""

    def __init__(
        self, browser: Browser, address: str, token: str | None, expected: str, **options: Any
    ):
        self.address, self.token, self.expected = address, token, expected
        self.problems: list[str] = []
        self.context = browser.new_context(**{"viewport": DESKTOP} | options)
        self.context.set_default_timeout(20_000)
        self.page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._request)
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " (event) => console.error('CSP', event.violatedDirective, event.blockedURI))"
        )
        if token:
            keep = f"sessionStorage.setItem('{KEY}', {json.dumps(token)})"
            self.page.add_init_script(f"if (!sessionStorage.getItem('asked')) {keep};")
            self.page.add_init_script("sessionStorage.setItem('asked', '1')")

    def open(self, hash: str = "") -> None:
        self.page.goto(self.address + hash)
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_selector("#panel[aria-busy=false]")

    def text(self, selector: str = "#main") -> str:
        return self.page.inner_text(selector)

    def is_wider_than_the_screen(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    def axe(self, *rules: str) -> list[str]:
        """Return the violations that axe finds, by these rules or by all."""
        self.page.evaluate(AXE)
        options = {"resultTypes": ["violations"], "preload": False} | (
            {"runOnly": rules} if rules else {}
        )
        found = self.page.evaluate("(options) => axe.run(options)", options)["violations"]
        return [
            f"{one['impact']} {one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
            for one in found
            for node in one["nodes"]
        ]

    def download(self, button: str) -> str:
        with self.page.expect_download() as info:
            self.page.get_by_role("button", name=button).click()
        return info.value.path().read_text()

    def leave(self) -> list[str]:
        """Close the page; return its problems."""
        self.context.close()
        return self.problems

    def _console(self, message: ConsoleMessage) -> None:
        if not (self.expected and self.expected in message.text):
            self.problems.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.address, f"blob:{self.address}")):
            self.problems.append(f"asked elsewhere: {request.url}")
        if self.token and (self.token in request.url or quote(self.token) in request.url):
            self.problems.append(f"token in a URL: {request.url}")
