"""Clients that try to reach files, other tables, the token or another origin's responses."""

import hmac
import random
import time
from statistics import median
from urllib.parse import quote

import pytest
import tables
from api_helpers import fetch
from conftest import ORIGIN
from wire import PROTECTED, TOKEN

from api import auth, create_app, static_files
from api.settings import Settings

SECRET_FILES = ["etc/passwd", "auth.py", "api/auth.py", "templates/docs.html", "openapi.json"]
UP = [
    "..", "%2e%2e", ".%2e", "%252e%252e", "..%00", "..;", "....//..", "%c0%ae%c0%ae",
    "%uff0e%uff0e", "..%5c..", "..\\..", "%2e%2e%5c", "vendor/../..", "./..", "css/%2e%2e/%2e%2e",
]  # fmt: skip
SLASH = ["/", "%2f", "%252f", "\\", "%5c", "//", "%c0%af", "/./"]
ROOTS = ["/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "file:///etc/passwd", "~root/.profile"]
ROOTS += ["C:/windows/win.ini", "%00/etc/passwd", "/proc/self/environ", "app.js%00.txt"]

INJECTIONS = [
    "' or '1'='1", "'; drop schema analytics cascade; --", "1; select pg_sleep(30)", "%(start)s",
    "' union select version() --", "\\'; select 1; --", "$$; drop table x; $$", "x%", "_",
    "{{ 1 }}", "'||pg_sleep(30)||'", "\u2019 or 1=1", "%s %% %n", "1) or (1=1", "/* */", "a\x1bb",
    "\ud7ff\U0010ffff", "null", "array[1]", "E'\\x00'", "::int", "@@version",
    "${jndi:ldap://x/a}", "<script>alert(1)",
]  # fmt: skip
PARAMETERS = ["window_days", "from", "to", "experiment_id", "funnel_name", "format", "limit", "x"]


@pytest.mark.parametrize("up", UP)
def test_no_path_leads_out_of_the_static_files(hostile, up):
    for slash in SLASH:
        for depth in (1, 2, 6):
            for file in SECRET_FILES:
                answer = hostile.get(f"/static/{slash.join([up] * depth + [file])}")
                assert answer.status in (400, 404), (answer, slash, depth, file)


@pytest.mark.parametrize("path", ROOTS)
def test_no_other_root_is_read(hostile, path):
    for prefix in ("/static/", "/", "/static//"):
        assert hostile.get(prefix + path).status in (400, 404)


@pytest.mark.parametrize(
    "name", ["", "css", "css/", ".", "vendor/uplot", "app.js.", "APP.JS", f"{'x' * 255}.js"]
)
def test_what_is_no_file_is_not_there(hostile, name):
    assert hostile.get(f"/static/{name}").status == 404


def test_a_link_that_leads_out_is_not_followed(tmp_path):
    inside, secret = tmp_path / "static", tmp_path / "secret.txt"
    inside.mkdir()
    secret.write_text("secret")
    (inside / "own.txt").write_text("own")
    (inside / "link.txt").symlink_to(secret)
    (inside / "folder").symlink_to(tmp_path)
    assert static_files.files(inside) == {"own.txt": inside / "own.txt"}


@pytest.mark.parametrize("path", PROTECTED)
def test_sql_in_a_parameter_is_a_value_or_is_refused(hostile, api_conninfo, path):
    with tables.connect(api_conninfo) as conn:
        before = tables.image(conn)
        for name in PARAMETERS:
            for text in INJECTIONS:
                answer = hostile.get(f"{path}?{name}={quote(text)}")
                assert answer.status in (200, 400)
                if name in ("experiment_id", "funnel_name") and name[:-3] in path:
                    assert answer.json["no_data"] is True
        assert before["daily_metric_rollups"] and tables.image(conn) == before


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("x-dashboard-token:",),
        (f"x-dashboard-token: {TOKEN[:-1]}",),
        (f"x-dashboard-token: {TOKEN}x",),
        (f"x-dashboard-token: {TOKEN.upper()}",),
        (f"x-dashboard-token: {TOKEN},{TOKEN}",),
        (f"x-dashboard-token: {TOKEN}", f"x-dashboard-token: {TOKEN}"),
        (f"x-dashboard-token: {TOKEN}", "x-dashboard-token: x"),
        (f'x-dashboard-token: "{TOKEN}"',),
        (f"x_dashboard_token: {TOKEN}",),
        (f"x-dashboard_token: {TOKEN}",),
        (f"Authorization: Bearer {TOKEN}x",),
        (f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"),
        (f"Cookie: x-dashboard-token={TOKEN}",),
        (f"X-Forwarded-For: 127.0.0.1, {TOKEN}", "X-Real-IP: 127.0.0.1"),
        ("X-Original-URL: /health", "X-Rewrite-URL: /health"),
        ("SCRIPT_NAME: /v1", "PATH_INFO: /health"),
        ("Script-Name: /v1/metrics", "Path-Info: /health"),
    ],
)
@pytest.mark.parametrize("path", PROTECTED)
def test_only_the_token_in_its_place_opens(hostile, path, lines):
    answer = hostile.get(path, *lines, token=None)
    assert answer.status in (400, 401)
    assert hostile.get(path).status == 200


def test_the_token_is_compared_whole_and_in_constant_time(api_client, api_conninfo, monkeypatch):
    compared = []

    def compare(given, expected):
        compared.append((given, expected))
        return hmac.compare_digest(given, expected)

    client = api_client(api_conninfo, token=TOKEN)
    monkeypatch.setattr(auth, "hmac", type("", (), {"compare_digest": staticmethod(compare)}))
    wrong = [TOKEN, "x" + TOKEN[1:], TOKEN[:-1] + "x", TOKEN[:1], ""]
    found = [fetch(client, PROTECTED[0], token=given).status_code for given in wrong]
    assert found == [200, 401, 401, 401, 401]
    assert compared == [(given.encode(), TOKEN.encode()) for given in wrong]


@pytest.mark.chaos
def test_a_guess_that_is_nearly_right_takes_no_longer(api_conninfo):
    token = "".join(random.Random(5).choices("abcdef", k=8_000_000))
    client = create_app(Settings(api_conninfo, token=token)).test_client()
    guesses = {"first": "x" + token[1:], "last": token[:-1] + "x"}
    took = {kind: [] for kind in guesses}
    for _ in range(60):
        for kind, guess in guesses.items():
            began = time.perf_counter()
            assert fetch(client, PROTECTED[0], token=guess).status_code == 401
            took[kind].append(time.perf_counter() - began)
    # Where comparison stops at the first difference, they differ by a quarter and more.
    assert 0.85 < median(took["first"]) / median(took["last"]) < 1.18


@pytest.mark.parametrize(
    "origin",
    [
        "null", "https://dash.example.com.evil.example", "https://evil.example/dash.example.com",
        "https://dash.example.com@evil.example", "https://dash.example.com:444", f"{ORIGIN}/",
        "HTTPS://DASH.EXAMPLE.COM", "https://xdash.example.com", "https://dash-example.com",
        f"{ORIGIN}, https://evil.example", f"{ORIGIN} https://evil.example", "*", "http://localhost",
        f"{ORIGIN}%00", f"{ORIGIN}\xa0", "https://[::1]", "file://",
    ],
)  # fmt: skip
def test_no_origin_but_the_named_one_may_read(hostile, origin):
    asks = "Access-Control-Request-Method: GET"
    for lines in ((f"Origin: {origin}",), (f"Origin: {origin}", f"Origin: {ORIGIN}")):
        assert not [name for name in hostile.get("/health", *lines).headers if "allow" in name]
    blob = f"OPTIONS {PROTECTED[0]} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n{asks}\r\n\r\n"
    (answer,) = hostile.send(blob.encode("latin-1"))
    assert not [name for name in answer.headers if name.startswith("access-control")]
    allowed = hostile.get("/health", f"Origin: {ORIGIN}").headers
    assert allowed["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:1", "a b", "[::1", "x\\y", "<b>", ""]
)
def test_the_host_that_a_client_names_is_not_repeated(hostile, host):
    forged = [f"{name}: {host}" for name in ("X-Forwarded-Host", "X-Host", "Forwarded: host")]
    head = "\r\n".join(("GET {} HTTP/1.1", f"Host: {host}", *forged, "", ""))
    for path in ("/", "/docs", "/static/", "/v1/metrics/daily", "//evil.example", "/static"):
        for answer in hostile.send(head.format(path).encode()):
            told = str(answer.headers) + answer.body.decode()
            assert not host or host not in told.replace("//evil.example", "")
            assert "location" not in answer.headers
