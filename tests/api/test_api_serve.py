"""`python cli.py serve` with real clients over real sockets."""

import gzip
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import psycopg
import pytest
from api_helpers import TOKEN, ask, exact, free_port, serving, wait_for
from tables import url_of

from api.serve import listen
from api.settings import BadSetting
from dbt_project import ROOT

DAILY, SUMMARY = "/v1/metrics/daily", "/v1/metrics/summary"
GOLDEN = Path(__file__).with_name("golden")


def raw(port, request):
    """Send bytes; return the status line, the headers and the body of the response."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as conn:
        conn.sendall(request)
        response = b"".join(iter(lambda: conn.recv(65536), b"")).decode()
    head, _, body = response.partition("\r\n\r\n")
    return head.splitlines()[0], head, body


def test_server_sends_the_golden_response(live):
    status, headers, body = ask(live, f"{DAILY}?from=2026-11-21&to=2026-11-23")
    golden = exact((GOLDEN / "daily.json").read_text())
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    assert exact(body)[1:] == golden[1:]


def test_etag_head_and_gzip_through_the_server(live):
    path = "/v1/metrics/experiments?window_days=90"
    _, headers, body = ask(live, path)
    same = ask(live, path, If_None_Match=headers["ETag"])
    assert (same[0], same[2]) == (304, b"")
    head = ask(live, path, method="HEAD")
    assert (head[0], head[1]["Content-Length"], head[2]) == (200, str(len(body)), b"")
    _, headers, packed = ask(live, path, Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed))["experiments"] == json.loads(body)["experiments"]


def test_csv_is_streamed_through_the_server(live):
    status, headers, body = ask(live, f"{DAILY}?format=csv&from=2026-11-21&to=2026-11-23")
    assert (status, headers["Transfer-Encoding"]) == (200, "chunked")
    assert body.count(b"\r\n") == 1 + 18 + 5


@pytest.mark.parametrize(
    ("request_line", "status", "kind"),
    [
        (b"GET /health HTTP/1.1\r\nx-dashboard token: t0ken\r\n\r\n", "400 ", "text/plain"),
        (b"GET /health HTTP/1.1\r\nx-dashboard-token: t0\x00ken\r\n\r\n", "400 ", "text/plain"),
        (b"GET\r\n\r\n", "400 ", "text/plain"),
        (b"GET /" + b"x" * (32 * 1024 - 18) + b" HTTP/1.1\r\n\r\n", "431 ", "text/plain"),
        (b"GET / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", "413 ", "text/plain"),
        (b"GET /nowhere HTTP/1.0\r\n\r\n", "404 NOT FOUND", "application/json"),
        (b"BREW /health HTTP/1.0\r\n\r\n", "405 METHOD NOT ALLOWED", "application/json"),
    ],
)
def test_server_refuses_malformed_requests_and_the_api_the_rest(live, request_line, status, kind):
    line, head, body = raw(live, request_line)
    assert line.partition(" ")[2].startswith(status)
    assert f"Content-Type: {kind}" in head and "t0" not in body
    assert kind == "text/plain" or list(json.loads(body)) == ["error", "message"]


def test_concurrent_clients_get_the_same_response(live):
    def client(_):
        with closing(http.client.HTTPConnection("127.0.0.1", live, timeout=30)) as conn:
            for _ in range(25):
                conn.request("GET", f"{DAILY}?window_days=90", headers={"x-dashboard-token": token})
                response = conn.getresponse()
                answers.add((response.status, json.dumps(json.loads(response.read())["days"])))

    token, answers = TOKEN.encode(), set()
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(client, range(32)))
    assert len(answers) == 1 and next(iter(answers))[0] == 200


def test_server_log_is_json_lines_without_the_token(api_conninfo):
    url = url_of(api_conninfo)
    with serving(DATABASE_URL=url, DASHBOARD_TOKEN="t0ken") as (process, port, log):
        ask(port, DAILY, token="t0ken")
        ask(port, DAILY, token="t0ken-mistyped")
        raw(port, b"GET /health HTTP/1.1\r\nx-dashboard-token: t0ken\x01\r\n\r\n")
        process.terminate()
        assert process.wait(30) == 0
        first, *lines = log.read_text().splitlines()
    assert first == f"Serving on http://127.0.0.1:{port}"
    # A line is written after its response was sent, so another thread may be the first to write.
    statuses = sorted(one["status"] for one in map(json.loads, lines) if one["path"] == DAILY)
    assert statuses == [200, 401] and "t0ken" not in str(lines)


@pytest.fixture
def large(api_copy):
    """A database with a day of 8 MB as JSON and 16 MB as CSV."""
    api_copy.execute("""
        insert into analytics.daily_metric_rollups
            (day, metric_name, dimension_key, value, dimensions, is_final, computed_at)
        select
            '2026-11-23', 'event_volume_by_name', name, 1, jsonb_build_object('event_name', name),
            false, now()
        from generate_series(1, 4000) n, lateral (select n || repeat('x', 2000) as name) as names
    """)
    return api_copy


def ask_and_wait(port, path):
    """Send a request without reading the response; return the socket."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.connect(("127.0.0.1", port))
    head = f"GET {path} HTTP/1.1\r\nx-dashboard-token: {TOKEN}\r\nConnection: close\r\n\r\n"
    sock.sendall(head.encode())
    sock.settimeout(60)
    return sock


@pytest.mark.parametrize("form", ["json", "csv"])
def test_slow_reader_delays_nobody_and_gets_everything(large, form):
    environment = {"DATABASE_URL": url_of(large.info.dsn), "DASHBOARD_TOKEN": TOKEN}
    path = f"{DAILY}?from=2026-11-23&to=2026-11-23&format={form}"
    idle = "select count(*) = 0 from pg_stat_activity where state like 'idle in transaction%'"
    with serving(**environment, API_THREADS="2") as (process, port, _), ExitStack() as stack:
        late = [stack.enter_context(ask_and_wait(port, path)) for _ in range(3)]
        # The server buffers the responses; no thread and no connection waits for the clients.
        wait_for(lambda: select.select(late, [], [], 0)[0] == late)
        assert ask(port, SUMMARY)[0] == 200
        wait_for(lambda: large.execute(idle).fetchone()[0])
        process.terminate()  # waits for clients that still read
        bodies = [b"".join(iter(partial(sock.recv, 1 << 20), b"")) for sock in late]
        assert process.wait(30) == 0
    full = 4000 * 2000 * (2 if form == "csv" else 1)
    whole = [body for body in bodies if body.startswith(b"HTTP/1.1 200") and len(body) > full]
    refused = [body for body in bodies if body.startswith(b"HTTP/1.1 503")]
    assert len(whole) + len(refused) == 3 and whole and (form == "csv" or not refused)
    assert all(b"Retry-After: 5" in body for body in refused)


def test_shutdown_waits_for_running_requests(api_copy):
    answers = []
    with serving(DATABASE_URL=url_of(api_copy.info.dsn), DASHBOARD_TOKEN=TOKEN) as served:
        process, port, _ = served
        with psycopg.connect(api_copy.info.dsn) as blocker:
            blocker.execute("lock table analytics.daily_metric_rollups")
            asking = threading.Thread(target=lambda: answers.append(ask(port, DAILY)[0]))
            asking.start()
            waiting = "select 1 from pg_locks where not granted and locktype = 'relation'"
            wait_for(lambda: api_copy.execute(waiting).fetchone())
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
        asking.join()
        assert (process.wait(30), answers) == (0, [200])


@pytest.mark.parametrize(
    ("host", "named", "url"),
    [
        ("[::1]", "::1:{port}", "http://[::1]:{port}"),
        ("localhost", "localhost:{port}", "http://localhost:{port}"),
        ("unix:{tmp}/socket", "unix:{tmp}/socket", "unix:{tmp}/socket"),
    ],
)
def test_server_listens_on_every_kind_of_host_and_names_one_in_use(
    api_conninfo, tmp_path, host, named, url
):
    environment = {"DATABASE_URL": url_of(api_conninfo)}
    host = host.format(tmp=tmp_path)
    with serving(host=host, **environment) as (_, port, log):
        places = {"port": port, "tmp": tmp_path}
        assert f"Serving on {url.format(**places)}\n" in log.read_text()
        # A second server finds the address in use, and does not print that it serves.
        command = [sys.executable, str(ROOT / "cli.py"), "serve", "--host", host]
        second = subprocess.run(
            command,
            env=os.environ | environment | {"PORT": str(port)},
            capture_output=True,
            text=True,
        )
    told = f"Error: Cannot listen on {named.format(**places)}: Address already in use.\n"
    assert (second.returncode, second.stderr) == (1, told)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unix:{tmp}/file", "a file that is not a socket is there."),
        ("unix:{tmp}", "a file that is not a socket is there."),
        ("unix:{tmp}/none/socket", "No such file or directory."),
        ("unix:{tmp}/" + "x" * 200, "AF_UNIX path too long."),
        ("192.0.2.1", "Cannot assign requested address."),
        ("x" * 64, ""),
    ],
)
def test_server_says_why_it_cannot_listen(tmp_path, host, reason):
    (tmp_path / "file").touch()
    host = host.format(tmp=tmp_path)
    with pytest.raises(BadSetting, match=f"^Cannot listen on {host}.*: {reason}"):
        listen(host, 8000)
    assert (tmp_path / "file").is_file()


def test_stale_socket_file_is_replaced(tmp_path):
    for _ in range(2):
        listener, _ = listen(f"unix:{tmp_path}/socket", 8000)
        listener.close()


def test_without_a_token_only_open_endpoints_answer(api_conninfo):
    with serving(DATABASE_URL=url_of(api_conninfo), DASHBOARD_TOKEN="") as (_, port, log):
        assert [ask(port, path)[0] for path in (DAILY, "/v1/runs", SUMMARY, "/ready")] == [
            503, 503, 200, 200
        ]  # fmt: skip
        assert "DASHBOARD_TOKEN is not set" in log.read_text()


def test_without_a_database_url_the_embedded_database_serves(tmp_path):
    environment = {"DASHBOARD_TOKEN": TOKEN, "ROLLUP_HOME": str(tmp_path)}
    with serving(tmp_path / "log", **environment) as (process, port, _):
        body = json.loads(ask(port, DAILY)[2])
        assert body["no_data"] is True and body["days"] == []
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not list(tmp_path.glob("postgres/postmaster.pid"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DATABASE_URL": "mysql://x"}, "Error: DATABASE_URL must start with"),
        ({"API_POOL_SIZE": "none"}, "Error: API_POOL_SIZE must be a number of at least 1"),
        ({"API_STATEMENT_TIMEOUT_S": "0"}, "Error: API_STATEMENT_TIMEOUT_S must be a number"),
        ({"API_THREADS": "nan"}, "Error: API_THREADS must be a number of at least 1"),
        ({"DASHBOARD_TOKEN": " a", "LINK_TOKEN": "a "}, "Error: LINK_TOKEN must differ from DASHB"),
        ({"CORS_ORIGINS": "dash.example.com"}, "Error: CORS_ORIGINS: 'dash.example.com' is not"),
    ],
)
def test_bad_setting_is_reported_before_anything_starts(environment, message):
    environment = os.environ | {"DATABASE_URL": "postgresql:///x"} | environment
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--port", str(free_port())]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 1
    assert message in outcome.stderr and "Traceback" not in outcome.stderr
