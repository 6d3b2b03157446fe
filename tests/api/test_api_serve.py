"""`python cli.py serve`, asked by a real client over real sockets."""

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import psycopg
import pytest
from api_helpers import TOKEN, ask, exact, free_port, serving, url_of, wait_for

from dbt_project import ROOT

DAILY, SUMMARY = "/v1/metrics/daily", "/v1/metrics/summary"
GOLDEN = Path(__file__).with_name("golden")


def raw(port, request):
    """Send bytes; return status line, headers and body of what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as conn:
        conn.sendall(request)
        response = b"".join(iter(lambda: conn.recv(65536), b"")).decode()
    head, _, body = response.partition("\r\n\r\n")
    return head.splitlines()[0], head, body


def test_the_golden_answer_comes_through_the_server(live):
    status, headers, body = ask(live, f"{DAILY}?from=2026-11-21&to=2026-11-23")
    golden = exact((GOLDEN / "daily.json").read_text())
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    assert exact(body)[1:] == golden[1:]


def test_etag_head_and_gzip_through_the_server(live):
    _, headers, body = ask(live, "/v1/metrics/experiments?window_days=90")
    same = ask(live, "/v1/metrics/experiments?window_days=90", If_None_Match=headers["ETag"])
    assert (same[0], same[2]) == (304, b"")
    head = ask(live, "/v1/metrics/experiments?window_days=90", method="HEAD")
    assert (head[0], head[1]["Content-Length"], head[2]) == (200, str(len(body)), b"")
    _, headers, packed = ask(live, "/v1/metrics/experiments?window_days=90", Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed))["experiments"] == json.loads(body)["experiments"]


def test_csv_is_streamed_through_the_server(live):
    status, headers, body = ask(live, f"{DAILY}?format=csv&from=2026-11-21&to=2026-11-23")
    assert (status, headers["Transfer-Encoding"]) == (200, "chunked")
    assert body.count(b"\r\n") == 1 + 18 + 5


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /health HTTP/1.1\r\nx-dashboard token: t0ken\r\n\r\n", "400 Bad Request"),
        (b"GET /health HTTP/1.1\r\nx-dashboard-token: t0\x00ken\r\n\r\n", "400 Bad Request"),
        (b"GET\r\n\r\n", "400 Bad Request"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", "414 "),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * 9000 + b"\r\n\r\n", "431 "),
        (b"GET /nowhere HTTP/1.0\r\n\r\n", "404 NOT FOUND"),
        (b"BREW /health HTTP/1.0\r\n\r\n", "405 METHOD NOT ALLOWED"),
    ],
)
def test_whatever_arrives_is_answered_in_json(live, request_line, status):
    line, head, body = raw(live, request_line)
    assert line.partition(" ")[2].startswith(status)
    assert "Content-Type: application/json" in head
    assert list(json.loads(body)) == ["error", "message"]


def test_many_clients_at_once_all_get_the_same(live):
    def client():
        conn = http.client.HTTPConnection("127.0.0.1", live, timeout=30)
        for _ in range(25):
            conn.request("GET", f"{DAILY}?window_days=90", headers={"x-dashboard-token": token})
            response = conn.getresponse()
            answers.add((response.status, json.dumps(json.loads(response.read())["days"])))
        conn.close()

    token, answers = TOKEN.encode(), set()
    threads = [threading.Thread(target=client) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 1 and next(iter(answers))[0] == 200


def test_the_log_is_lines_of_json_without_a_token(api_conninfo):
    url = url_of(api_conninfo)
    with serving(DATABASE_URL=url, DASHBOARD_TOKEN="t0ken") as (process, port, log):
        ask(port, DAILY, token="t0ken")
        ask(port, DAILY, token="t0ken-mistyped")
        raw(port, b"GET /health HTTP/1.1\r\nx-dashboard-token: t0ken\x01\r\n\r\n")
        process.terminate()
        assert process.wait(30) == 0
        first, *lines = log.read_text().splitlines()
    assert first.startswith(f"Serving on http://127.0.0.1:{port} with ")
    # Two workers write the lines, each when its answer has gone: their order is not the requests'.
    parsed = [json.loads(line) for line in lines]
    statuses = sorted(line["status"] for line in parsed if "status" in line)
    assert statuses[-2:] == [200, 401] and "t0ken" not in str(lines)
    (refused,) = (line for line in parsed if "status" not in line)
    assert refused["message"] == "refused a malformed request: InvalidHeader"


def test_a_request_that_runs_is_answered_before_the_end(api_copy):
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


def test_without_a_token_only_what_is_open_answers(api_conninfo):
    with serving(DATABASE_URL=url_of(api_conninfo), DASHBOARD_TOKEN="") as (_, port, log):
        assert [ask(port, path)[0] for path in (DAILY, "/v1/runs", SUMMARY, "/ready")] == [
            503, 503, 200, 200
        ]  # fmt: skip
        assert "DASHBOARD_TOKEN is not set" in log.read_text()


def test_without_a_database_url_the_embedded_one_serves(tmp_path):
    environment = {"DATABASE_URL": "", "DASHBOARD_TOKEN": TOKEN, "ROLLUP_HOME": str(tmp_path)}
    environment["API_WORKERS"] = "2"
    with serving(tmp_path / "log", **environment) as (process, port, _):
        body = json.loads(ask(port, DAILY)[2])
        assert body["no_data"] is True and body["days"] == []
        # One worker may answer while the other still starts.
        parent = psutil.Process(process.pid)
        wait_for(lambda: len(parent.children(recursive=True)) > 2, process)
        family = parent.children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert not list(tmp_path.glob("postgres/postmaster.pid"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DATABASE_URL": "mysql://x"}, "Error: DATABASE_URL must start with"),
        ({"API_POOL_SIZE": "none"}, "Error: API_POOL_SIZE must be a number of at least 1"),
        ({"API_STATEMENT_TIMEOUT_S": "0"}, "Error: API_STATEMENT_TIMEOUT_S must be a number"),
        ({"API_THREADS": "nan"}, "Error: API_THREADS must be a number of at least 1"),
        ({"CORS_ORIGINS": "dash.example.com"}, "Error: CORS_ORIGINS: 'dash.example.com' is no"),
    ],
)
def test_a_bad_setting_is_told_before_anything_starts(environment, message):
    environment = os.environ | {"DATABASE_URL": "postgresql:///x"} | environment
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--port", str(free_port())]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 1
    assert message in outcome.stderr and "Traceback" not in outcome.stderr
