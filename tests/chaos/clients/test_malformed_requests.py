"""Requests that two servers may read differently, or that no server should accept."""

import pytest
from wire import PROTECTED, TOKEN

HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /v1/runs HTTP/1.1\r\nHost: x\r\nx-dashboard-token: " + TOKEN.encode() + b"\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

# What must be refused, or answered without a second answer to what was smuggled in.
SHAPES = {
    "both lengths": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both in turn": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 0, 5\r\n\r\n",
    "a length with a sign": HEAD + b"Content-Length: +0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length in hex": HEAD + b"Content-Length: 0x0\r\n\r\n",
    "a length of superscripts": HEAD + b"Content-Length: \xb2\r\n\r\n",
    "an absurd length": HEAD + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 3\r\n\r\n",
    "an unread body": HEAD + b"Content-Length: 3\r\n\r\nabc",
    "a body short of its end": HEAD + b"Content-Length: 9\r\n\r\nabc",
    "unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked with a tab": HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "underscored": HEAD + b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "chunked for 1.0": CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
    "chunk size with a sign": CHUNKED + b"+0\r\n\r\n",
    "chunk size in words": CHUNKED + b"zero\r\n\r\n",
    "chunk size too large": CHUNKED + b"f" * 64 + b"\r\nabc",
    "chunk longer than it says": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
    "chunk without an end": CHUNKED + b"3\r\nabc0\r\n\r\n",
    "chunk extension": CHUNKED + b"0;\x00\n\r\n\r\n",
    "chunk trailers": CHUNKED + b"0\r\nx-dashboard-token: x\r\nContent-Length: 9\r\n\r\n",
    "bare line feeds": HEAD.replace(b"\r\n", b"\n") + b"\n",
    "bare line feed inside": HEAD + b"X: a\nContent-Length: 9\r\n\r\n",
    "bare carriage return": HEAD + b"X: a\rContent-Length: 9\r\n\r\n",
    "an empty name": HEAD + b": x\r\n\r\n",
    "no colon": HEAD + b"nonsense\r\n\r\n",
    "NUL in a name": HEAD + b"X\x00Y: x\r\n\r\n",
    "NUL in a value": HEAD + b"X: a\x00b\r\n\r\n",
    "version 0.9": b"GET /health\r\n\r\n",
    "version 2.0": b"GET /health HTTP/2.0\r\n\r\n",
    "version of digits": b"GET /health HTTP/1.10\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an upgrade": HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n",
    "spaces in the line": b"GET  /health  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab in the line": b"GET\t/health\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a lower-case method": b"get /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "the proxy protocol": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + HEAD + b"\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("blob", SHAPES.values(), ids=SHAPES)
def test_nothing_is_smuggled_behind_a_malformed_request(hostile, blob):
    for behind in (SMUGGLED, b"0\r\n\r\n" + SMUGGLED, b"\r\n" + SMUGGLED):
        found = hostile.send(blob + behind) if blob else hostile.send(blob)
        assert len(found) <= 1, found
        assert all(b"runs" not in answer.body for answer in found)


@pytest.mark.parametrize(
    ("blob", "status"),
    [
        (HEAD + b"X: " + b"x" * 10_000_000 + b"\r\n\r\n", 431),
        (HEAD + b"X" * 10_000_000 + b": x\r\n\r\n", 431),
        (HEAD + (b"X: " + b"x" * 4000 + b"\r\n") * 90 + b"\r\n", 431),
        (b"GET /" + b"x" * 10_000_000, 431),
        (b"A" * 10_000_000, 431),
        (HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * 10_000_000, 413),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + b"\x1f\x8b" * 10, 200),
        (CHUNKED + b"989680\r\n" + b"x" * 10_000_000 + b"\r\n0\r\n\r\n", 413),
        (CHUNKED + b"0\r\n" + b"X: x\r\n" * 100_000 + b"\r\n", 413),
        (HEAD.replace(b"GET", b"POST") + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000, 413),
    ],
)
def test_what_is_too_large_is_refused_or_not_read(hostile, blob, status):
    assert [answer.status for answer in hostile.send(blob)] == [status]


def test_a_pipeline_is_answered_one_by_one_and_in_order(hostile):
    paths = ["/health", "/nowhere", "/ready", "/v1/runs", "/health", "/v1/metrics/summary"] * 20
    blob = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
    found = hostile.send(blob.encode())
    kinds = {"/health": 200, "/nowhere": 404, "/ready": 200, "/v1/runs": 401}
    assert [answer.status for answer in found] == [kinds.get(path, 200) for path in paths]


def test_the_token_of_one_request_does_not_serve_the_next(hostile):
    asks = f"GET {PROTECTED[0]} HTTP/1.1\r\nHost: x\r\n"
    found = hostile.send(f"{asks}x-dashboard-token: {TOKEN}\r\n\r\n{asks}\r\n".encode())
    assert [answer.status for answer in found] == [200, 401]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW"])
def test_other_methods_do_nothing(hostile, method):
    for path in (*PROTECTED, "/health", "/", "/static/app.js", "/docs"):
        blob = f"{method} {path} HTTP/1.1\r\nHost: x\r\nx-dashboard-token: {TOKEN}\r\n\r\n"
        (answer,) = hostile.send(blob.encode())
        assert answer.status in (404, 405) and TOKEN.encode() not in answer.body


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_not_overridden(hostile, name):
    assert hostile.get("/health", f"{name}: DELETE").status == 200
    (answer,) = hostile.send(f"POST /health HTTP/1.1\r\nHost: x\r\n{name}: GET\r\n\r\n".encode())
    assert answer.status == 405
