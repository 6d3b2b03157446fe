"""A server for malicious clients, checked after each of them."""

import json
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from api_helpers import serving
from tables import url_of
from wire import TOKEN, Answer, answers, get

ORIGIN = "https://dash.example.com"
MEMORY_MB = 400  # 90 before the first request


@dataclass
class Hostile:
    """A running server: its process, port, log, and how far the log has been checked."""

    process: psutil.Process
    port: int
    log: Path
    log_read: int

    def get(self, path: str, *lines: str, token: str | None = TOKEN) -> Answer:
        return get(self.port, path, *lines, token=token)

    def send(self, blob: bytes) -> list[Answer]:
        return answers(self.port, blob)

    def still_serves(self) -> None:
        """Assert that others are answered."""
        answer = self.get("/v1/metrics/daily?window_days=1")
        assert (answer.status, answer.json["no_data"]) == (200, True)

    def look_over(self) -> None:
        """Assert that memory has not grown, and that the log has no token, error or traceback."""
        assert self.process.memory_info().rss < MEMORY_MB * 2**20
        with self.log.open("rb") as file:
            file.seek(self.log_read)
            lines = file.read().decode("ascii").splitlines()
            self.log_read = file.tell()
        assert TOKEN not in "\n".join(lines)
        for line in map(json.loads, lines):
            assert line["level"] in ("INFO", "WARNING") and "traceback" not in line, line
            assert line.get("status", 0) < 500, line


@pytest.fixture(scope="session")
def hostile_server(api_conninfo):
    environment = {
        "DATABASE_URL": url_of(api_conninfo),
        "DASHBOARD_TOKEN": TOKEN,
        "CORS_ORIGINS": ORIGIN,
    }
    with serving(token=TOKEN, **environment) as (process, port, log):
        first = log.read_text().splitlines(keepends=True)[0]
        assert first.startswith("Serving on ")
        yield Hostile(psutil.Process(process.pid), port, log, len(first))


@pytest.fixture
def hostile(hostile_server):
    """One server for all these tests, checked after each."""
    yield hostile_server
    hostile_server.still_serves()
    hostile_server.look_over()
