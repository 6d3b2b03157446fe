"""Helpers of the API's tests."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dbt_project import ROOT

TOKEN = "s3cret-té"
NOW = datetime(2026, 11, 23, 15, 30, 2, 95000, tzinfo=UTC)


@contextmanager
def serving(log=None, host="127.0.0.1", **environment):
    """Run `python cli.py serve`; yield the process, its port and the path of its stderr."""
    port = free_port()
    log = log or Path(os.environ["ROLLUP_HOME"]).with_name(f"serve-{port}.log")
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--host", host]
    environment["PORT"] = str(port)  # unlike --port also where it has no effect, on a Unix socket
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith("API_")}
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stderr=stderr, env=inherited | environment) as process,
    ):
        try:
            wait_for(lambda: ask(port, "/health", host=host)[0] == 200, process)
            yield process, port, log
        finally:
            process.terminate()
            process.wait(60)


def wait_for(condition, process=None, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("The condition did not become true in time.")


def ask(port, path, method="GET", token=TOKEN, host="127.0.0.1", **headers):
    """Return status, headers and body of one request with a real client."""
    conn = http.client.HTTPConnection(host.strip("[]"), port, timeout=30)
    try:
        if host.startswith("unix:"):
            conn.sock = socket.socket(socket.AF_UNIX)
            conn.sock.connect(host.removeprefix("unix:"))
        if token:
            headers["x-dashboard-token"] = token.encode()
        conn.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = conn.getresponse()
        return response.status, response.headers, response.read()
    finally:
        conn.close()


def fetch(client, path, method="GET", token=TOKEN, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        # WSGI servers decode headers as Latin-1.
        headers["x-dashboard-token"] = token.encode().decode("latin-1")
    return client.open(path, method=method, headers=headers, buffered=True)


def exact(text):
    """Parse JSON so that == also compares the order of keys, and 1 with 1.0."""
    return json.loads(text, object_pairs_hook=tuple, parse_float=str, parse_int=str)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def is_error(response, status, title):
    body = response.get_json()
    return (
        response.status_code == status
        and list(body) == ["error", "message"]
        and body["error"] == title
        and bool(re.fullmatch(r".+\.", body["message"]))
    )
