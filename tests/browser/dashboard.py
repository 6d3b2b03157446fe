"""Serves the dashboard in this process; a `Visit` is one page in a context of its own."""

import json
import threading
from collections.abc import Iterable, Iterator
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
METRICS = {"logged_24h": "goal", "sessions_7d": "secondary", "returned_week_1": "guardrail"}
LIFT = {"difference": 0.06, "difference_low": 0.04, "difference_high": 0.08, "p_value": 2e-9,
        "lift": 0.24, "lift_low": 0.16, "lift_high": 0.32, "lift_always_low": 0.118,
        "lift_always_high": 0.362, "p_always": 7e-5, "cuped_lift": 0.22, "cuped_lift_low": 0.15,
        "cuped_lift_high": 0.29, "variance_reduction": 0.2, "p_holm": 4e-9, "chance_to_win": 0.999,
        "mde": 0.112, "users_to_detect": 764}  # fmt: skip


def readouts(
    experiment: str, changes: dict[str, Any] | None = None, variants: Iterable[str] = "B"
) -> dict:
    """Return an answer of the API in which every metric of every variant has the same numbers.

    `changes` has other values: of `all`, of a variant's metric as `B logged_24h`, of `health`.
    """
    changes = changes or {}
    row = LIFT | {"control_variant_id": "A", "users": 1500, "control_users": 1600,
                  "value": 0.31, "control_value": 0.25, "first_day": "2026-10-01",
                  "last_day": "2026-11-22", "cohort_days": 20, "status": "ok",
                  "verdict": "no_difference_yet"}  # fmt: skip
    metrics = [
        {"metric_name": metric, "measure": "count" if role == "secondary" else "any", "role": role,
         "desired": "increase", "event_name": "$key_event", "denominator_event_name": "",
         "delay_hours": 0, "window_hours": 24, "cap": None,
         "variants": [row | {"variant_id": variant} | changes.get("all", {})
                      | changes.get(f"{variant} {metric}", {}) for variant in variants]}
        for metric, role in METRICS.items()
    ]  # fmt: skip
    size = {"users": 1500, "crossover_users": 2, "weight": 0.5, "expected_share": 0.5, "share": 0.5}
    health = {"control_variant_id": "A", "users": 3000, "srm_chi2": 0.1, "srm_df": 1,
              "srm_p": 0.75, "srm": "ok", "crossover_users": 4, "crossover_share": 0.001,
              "crossover": "ok", "pre_difference_p": None, "pre_difference": "ok",
              "covers_from": "2026-10-01", "complete_from": None, "is_complete": True, "notes": [],
              "variants": [size | {"variant_id": one} for one in ["A", *variants]],
              } | changes.get("health", {})  # fmt: skip
    return {
        "generated_at": NOW.isoformat(), "data_as_of": NOW.isoformat(), "no_data": False,
        "experiments": [{"experiment_id": experiment, "status": "RUNNING", "start_at": None,
                         "end_at": None, "health": health, "metrics": metrics}],
    }  # fmt: skip


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_) -> None: ...


@contextmanager
def serving(
    conninfo: str, token: str | None = TOKEN, now: datetime = NOW, **settings: Any
) -> Iterator[str]:
    """Serve the app on a database with a fixed clock; yield its address."""
    app = create_app(Settings(conninfo, token=token, **settings), now=lambda: now)
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
        self.page.add_init_script(
            "window.shifts = []; new PerformanceObserver((list) =>"
            " list.getEntries().forEach((shift) => shifts.push(shift.value)))"
            ".observe({ type: 'layout-shift', buffered: true })"
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
            self.page.get_by_role("button", name=button).first.click()
        text = info.value.path().read_bytes().decode()
        assert text[0] == "\ufeff"  # Excel reads it as UTF-8
        return text[1:]

    def shift(self) -> float:
        """Return how far things moved while the page was loaded (cumulative layout shift)."""
        return self.page.evaluate("shifts.reduce((sum, shift) => sum + shift, 0)")

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
