"""ETag, HEAD, gzip, X-Request-ID, CORS and the access log."""

import gzip
import io
import json
import logging
import re
from urllib.parse import quote

import pytest
from api_helpers import TOKEN, fetch, is_error
from flask import request

from api.access_log import JsonLines

METRICS = [f"/v1/metrics/{name}" for name in ("daily", "experiments", "funnels", "summary")]
NEW = [f"/v1/metrics/{name}" for name in ("conversions", "retention", "active", "dimensions")]
METRICS += ["/v1/metrics/readouts", *NEW]
CSV = [f"{path}?format=csv" for path in METRICS if not path.endswith("summary")]


@pytest.fixture
def log():
    """The lines that the API writes while the test runs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.getLogger("api").addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger("api").removeHandler(handler)


@pytest.mark.parametrize("path", METRICS + CSV)
def test_if_none_match_is_answered_with_304(get, path):
    first = get(path)
    tag = first.headers["ETag"]
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', tag)
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = get(path, If_None_Match=known)
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
        assert "Content-Type" not in again.headers
        assert again.headers["Vary"] == first.headers["Vary"]
        assert (
            again.headers["Cache-Control"] == first.headers["Cache-Control"] == "private, no-cache"
        )
    assert get(path, If_None_Match='"other"').data


def test_etags_differ_by_endpoint_and_parameters(get):
    paths = [
        *METRICS,
        *CSV,
        *[f"{path}?window_days=8" for path in (*METRICS[:4], *NEW)],
        *[f"{path}?complete=true" for path in (*METRICS[:4], *NEW)],
        *[f"{path}?dimension=platform" for path in NEW],
        "/v1/metrics/experiments?experiment_id=exp_1",
        "/v1/metrics/readouts?experiment_id=exp_1",
        "/v1/metrics/funnels?funnel_name=core_journey",
        "/v1/metrics/daily?from=2026-11-20&to=2026-11-20",
    ]
    assert len({get(path).headers["ETag"] for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("insert into rollup_runs (job_name, status, window_start, window_end, as_of)"
         " values ('daily', 'SUCCESS', now(), now(), now())", {"daily", "summary", "dimensions"}),
        ("insert into rollup_runs (job_name, status, window_start, window_end, as_of)"
         " values ('funnel', 'FAILED', now(), now(), now())", set()),
        ("update funnel_rollups set computed_at = now()", {"funnels", "conversions"}),
        ("update funnel_conversion_rollups set computed_at = now()", {"conversions"}),
        ("update daily_dimension_rollups set computed_at = now()", {"dimensions"}),
        ("update retention_rollups set computed_at = now()", {"retention", "active"}),
        ("update active_user_rollups set computed_at = now()", {"retention", "active"}),
        ("update daily_metric_rollups set computed_at = now()", {"daily", "summary"}),
        ("update experiment_catalog set computed_at = now()",
         {"experiments", "summary", "readouts"}),
        ("update experiment_metric_rollups set computed_at = now()",
         {"experiments", "summary", "readouts"}),
        ("update experiment_readouts set computed_at = now()", {"readouts"}),
        ("update experiment_health set computed_at = now()", {"readouts"}),
    ],
)  # fmt: skip
def test_new_rows_change_the_etags_of_their_endpoints(api_client, api_copy, change, changed):
    client = api_client(api_copy.info.dsn)
    before = {path: fetch(client, path).headers["ETag"] for path in METRICS}
    api_copy.execute(f"set search_path to analytics; {change}")
    after = {path: fetch(client, path).headers["ETag"] for path in METRICS}
    assert {path.split("/")[-1] for path in METRICS if before[path] != after[path]} == changed


# The Node worker's jobs are called *_rollup; it logged no as_of.
RUNS = [
    ("daily", "SUCCESS", "2026-11-23 09:00Z", "2026-11-23 08:00Z"),
    ("daily_rollup", "SUCCESS", "2026-11-23 10:00Z", "2026-11-23 09:02:03.004Z"),
    ("daily", "FAILED", "2026-11-23 11:00Z", "2026-11-23 11:00Z"),
    ("daily_rollup", "RUNNING", "2026-11-23 12:00Z", "2026-11-23 12:00Z"),
    ("funnel_rollup", "SUCCESS", "2026-11-23 13:00Z", None),
]


@pytest.mark.parametrize(
    ("started", "experiments"),
    [("2026-11-23 14:00Z", "2026-11-23T14:00:00.000Z"), ("2099-01-01", "2026-11-23T15:30:02.095Z")],
)
def test_data_as_of_is_of_the_last_successful_run_and_never_in_the_future(
    api_client, api_copy, started, experiments
):
    api_copy.execute("truncate analytics.rollup_runs")
    api_copy.cursor().executemany(
        "insert into analytics.rollup_runs"
        " (job_name, status, started_at, as_of, window_start, window_end)"
        " values (%s, %s, %s, %s, now(), now())",
        [*RUNS, ("experiment", "SUCCESS", started, "2027-11-20")],
    )
    client = api_client(api_copy.info.dsn)
    daily, funnels = "2026-11-23T09:02:03.004Z", "2026-11-23T13:00:00.000Z"
    # Of the two jobs behind the summary the older one counts.
    known = [daily, experiments, funnels, daily, experiments, funnels, None, None, daily]
    expected = dict(zip(METRICS, known, strict=True))
    assert {path: fetch(client, path).json["data_as_of"] for path in METRICS} == expected
    jobs = fetch(client, "/ready").json["jobs"]
    assert [job["data_as_of"] for job in jobs] == [daily, experiments, funnels, None]
    assert [job["age_seconds"] for job in jobs] == [
        23279, 5402 if "T14" in experiments else 0, 9002, None
    ]  # fmt: skip
    names = [run["job_name"] for run in fetch(client, "/v1/runs").json["runs"]]
    assert sorted(names) == ["daily"] * 4 + ["experiment", "funnel"]


@pytest.mark.parametrize("path", [*METRICS, *CSV, "/health", "/ready", "/v1/runs", "/docs", "/x"])
def test_head_has_the_headers_of_get_and_no_body(get, path):
    whole, head = get(path), get(path, method="HEAD")
    assert head.data == b"" and head.status_code == whole.status_code
    ignored = {"X-Request-ID", "Content-Length"} if "csv" in path else {"X-Request-ID"}
    assert {k: v for k, v in head.headers if k not in ignored} == {
        k: v for k, v in whole.headers if k not in ignored
    }


def test_head_of_a_csv_leaves_no_connection_behind(api_client, api_conninfo):
    client = api_client(api_conninfo, pool_size=1, pool_timeout_s=0.5)
    for _ in range(5):
        assert fetch(client, CSV[0], method="HEAD").status_code == 200
    assert fetch(client, CSV[0]).status_code == 200


def test_csv_exports_over_the_limit_get_503_with_retry_after(api_client, api_conninfo):
    client = api_client(api_conninfo, exports=1)
    with client.application.extensions["exports"]:
        response = fetch(client, CSV[0])
        assert is_error(response, 503, "Service Unavailable")
        assert response.headers["Retry-After"] == "5"
        assert fetch(client, METRICS[0]).status_code == 200
    assert {fetch(client, path).status_code for path in CSV} == {200}


@pytest.mark.parametrize("path", [METRICS[1], CSV[1]])
def test_large_responses_are_gzipped_if_the_client_accepts_it(get, path):
    plain = get(path)
    assert "Content-Encoding" not in plain.headers
    for accepted in ("gzip", "br, gzip;q=0.5", "*", "x-gzip, gzip, deflate"):
        packed = get(path, Accept_Encoding=accepted)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == plain.data
        assert len(packed.data) < len(plain.data) / 2
    for refused in ("gzip;q=0", "identity, gzip;q=0.5", "br", ""):
        assert get(path, Accept_Encoding=refused).data == plain.data
    assert "Accept-Encoding" in plain.headers["Vary"]
    for small in ("/health", f"{path}{'&' if '?' in path else '?'}window_days=0"):
        assert "Content-Encoding" not in get(small, Accept_Encoding="gzip").headers


@pytest.mark.parametrize("path", ["/health", METRICS[0], "/nowhere", "/v1/metrics/daily?limit=x"])
def test_every_response_has_a_request_id(get, path):
    one, other = (get(path).headers["X-Request-ID"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", one) and one != other
    assert get(path, X_Request_ID="from-proxy_1.2~").headers["X-Request-ID"] == "from-proxy_1.2~"


@pytest.mark.parametrize("given", ["", " ", "a b", "a;b", "é", "x" * 129, '"}', TOKEN])
def test_unsafe_request_ids_are_replaced(get, given):
    given = given.encode().decode("latin-1")
    assert get("/health", X_Request_ID=given).headers["X-Request-ID"] != given


def test_access_log_line(get, log):
    get("/v1/metrics/daily?window_days=3&secret=hunter2", X_Request_ID="abc", User_Agent="curl/1")
    (line,) = log()
    assert line.pop("ms") > 0 and line.pop("bytes") > 1000 and line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "api.access",
        "message": "request",
        "request_id": "abc",
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/v1/metrics/daily",
        "query": {"window_days": "3"},
        "status": 200,
        "user_agent": "curl/1",
    }


def test_log_lines_mask_the_token(api_client, api_conninfo, log):
    client = api_client(api_conninfo, token="t0ken", link_token="l1nk-t0ken")
    for path in (f"{CSV[0]}&token=l1nk-t0ken", "/l1nk-t0ken", f"{CSV[0]}&dimension=l1nk-t0ken"):
        fetch(client, path, token="l1nk-t0ken", User_Agent="l1nk-t0ken")
    assert "l1nk" not in str(log()) and len(log()) == 3
    for given in ("t0ken", "t0ken-mistyped"):
        for path in (*METRICS, *CSV, "/v1/runs", "/nowhere", "/v1/metrics/daily?token=t0ken"):
            fetch(client, path, token=given, X_Request_ID=given)
    assert len(log()) == 3 + 2 * len([*METRICS, *CSV, 1, 2, 3]) and "t0ken" not in str([
        {k: v for k, v in line.items() if k != "request_id"} for line in log()
    ])  # fmt: skip
    assert "t0ken" not in {line["request_id"] for line in log()}


@pytest.mark.parametrize("token", ["t0ken", "tö'ken\\"])
def test_tracebacks_mask_the_token(api_client, api_conninfo, log, token, monkeypatch):
    client = api_client(api_conninfo, token=token)

    def fail(path):
        raise OSError(36, "File name too long", path)

    monkeypatch.setattr(client.application, "dispatch_request", lambda: fail(request.path))
    assert is_error(fetch(client, f"/static/{quote(token)}"), 500, "Internal Server Error")
    error, _ = log()
    assert re.search("""['"]/static/\\*{3}['"]\n$""", error["traceback"])


def test_details_of_internal_errors_are_only_in_the_log(api_client, api_conninfo, log):
    client = api_client(api_conninfo)
    client.application.extensions["queries"]["daily"] = "select 1 / 0, 'internals'"
    response = fetch(client, METRICS[0])
    assert is_error(response, 500, "Internal Server Error")
    assert "internals" not in response.text and "Division" not in response.text
    error, access = log()
    assert "DivisionByZero" in error["traceback"] and access["status"] == 500
    assert error["request_id"] == access["request_id"] == response.headers["X-Request-ID"]


ORIGIN = "https://dash.example.com"
PREFLIGHT = {
    "method": "OPTIONS",
    "token": None,
    "Access_Control_Request_Method": "GET",
    "Access_Control_Request_Headers": "x-dashboard-token",
}


def test_cors_is_off_by_default(get):
    for response in (get(METRICS[0], Origin=ORIGIN), get(METRICS[0], Origin=ORIGIN, **PREFLIGHT)):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        assert "Origin" not in response.headers.get("Vary", "")


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((ORIGIN,), ORIGIN, True),
        (("http://localhost:3000", ORIGIN), ORIGIN, True),
        (("*",), ORIGIN, True),
        ((ORIGIN,), "https://evil.example.com", False),
        ((ORIGIN,), f"{ORIGIN}.evil.com", False),
        ((ORIGIN,), "http://dash.example.com", False),
        ((ORIGIN,), "null", False),
    ],
)
def test_cors_allows_the_configured_origins(api_client, api_conninfo, origins, origin, allowed):
    client = api_client(api_conninfo, cors_origins=origins)
    preflight = fetch(client, METRICS[0], Origin=origin, **PREFLIGHT)
    assert (preflight.status_code == 204) == allowed
    if allowed:
        assert "x-dashboard-token" in preflight.headers["Access-Control-Allow-Headers"]
        assert "GET" in preflight.headers["Access-Control-Allow-Methods"]
    answers = [
        preflight,
        fetch(client, METRICS[0], Origin=origin),
        fetch(client, METRICS[0], Origin=origin, token="wrong"),
        fetch(client, "/nowhere", Origin=origin),
    ]
    for response in answers:
        assert response.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert "Origin" in response.headers["Vary"]
    assert "ETag" in answers[1].headers.get("Access-Control-Expose-Headers", "ETag")


def test_an_empty_path_is_the_page(api_client, api_conninfo):
    """`GET http://host HTTP/1.1` has none. A redirect would name the wrong host."""
    client = api_client(api_conninfo)
    assert client.get("/", environ_overrides={"PATH_INFO": ""}).status_code == 200
