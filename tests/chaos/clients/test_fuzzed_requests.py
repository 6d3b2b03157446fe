"""Random requests that are mostly valid."""

from random import Random
from urllib.parse import quote

import pytest
from wire import PROTECTED, TOKEN, Answer

FEW, MANY = 150, 5000
PATHS = [*PROTECTED, "/v1/metrics/summary", "/health", "/ready", "/", "/docs", "/openapi.json"]
PATHS += ["/static/app.js", "/static/css/page.css", "/nowhere"]
NAMES = ["window_days", "from", "to", "experiment_id", "funnel_name", "format", "limit", "", "[]"]
VALUES = ["7", "90", "csv", "json", "2026-11-01", "2026-11-23", "core_journey", "exp_1", "", "-1"]
HEADERS = [
    "Accept", "Accept-Encoding", "If-None-Match", "If-Modified-Since", "If-Range", "Range",
    "Origin", "Cookie", "User-Agent", "X-Request-ID", "Connection", "Content-Type",
    "Content-Encoding", "TE", "Access-Control-Request-Method", "Authorization", "X-Forwarded-For",
    "X-Forwarded-Proto", "Cache-Control", "Upgrade", "Via", "Date", "Referer", "Host",
    "x-dashboard-token", "Expect",
]  # fmt: skip
TEXTS = [
    "gzip", "gzip;q=1e9", "*;q=nan", "identity;q=0", "gzip;q=", 'W/"0"', '"' * 99, "*", "bytes=0-",
    "bytes=" + ",".join(f"{n}-" for n in range(900)), "bytes=-1", "bytes=9-1",
    "bytes=0-18446744073709551616",
    "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo 0000 99:99:99 GMT", "close", "keep-alive, close",
    "text/html;" * 300, ",".join(['"x"'] * 1000), "a=b; " * 900, "{" * 4000, "\xff\xfe",
    "\x85\x9b31m", "${jndi:x}", "\t", "application/x-www-form-urlencoded",
    "multipart/form-data", "\xe2\x80\xa8{}",
]  # fmt: skip


def noise(rng: Random, most: int = 40) -> str:
    """Random characters of every kind, percent-encoded, one time in ten twice."""
    kinds = ((0, 0x20), (0x20, 0x7F), (0x80, 0x100), (0x2000, 0x2100), (0x1F300, 0x1F600))
    text = "".join(chr(rng.randrange(*rng.choice(kinds))) for _ in range(rng.randrange(most)))
    encoded = quote(text, safe="")
    return encoded.replace("%", "%25") if rng.random() < 0.1 else encoded


def query(rng: Random) -> str:
    pairs = rng.choice((0, 1, 2, 3, 3, 500))
    parts = []
    for _ in range(pairs):
        name = rng.choice(NAMES) if rng.random() < 0.8 else noise(rng)
        value = rng.choice(VALUES) if rng.random() < 0.6 else noise(rng)
        parts.append(name + rng.choice(("=", "=", "=", "", "==")) + value)
    return rng.choice(("&", "&", ";")).join(parts)[:8000]


def request(rng: Random, has_token: bool) -> bytes:
    method = rng.choice(("GET", "GET", "GET", "HEAD", "OPTIONS", "POST"))
    path = rng.choice(PATHS)
    if rng.random() < 0.2:
        path = path[: rng.randrange(1, len(path) + 1)] + noise(rng, 8)
    lines = ["Host: localhost"] * (rng.random() < 0.95)
    for _ in range(rng.randrange(8)):
        text = rng.choice(TEXTS) if rng.random() < 0.8 else noise(rng)
        lines.append(f"{rng.choice(HEADERS)}: {text}")
    if has_token:
        lines.append(f"x-dashboard-token: {TOKEN}")
    rng.shuffle(lines)
    head = [f"{method} {path}?{query(rng)} HTTP/1.{rng.choice('1110')}", *lines, "", ""]
    blob = bytearray("\r\n".join(head).encode("latin-1"))
    if rng.random() < 0.1:  # and something broken
        for _ in range(rng.randrange(1, 4)):
            blob[rng.randrange(len(blob))] = rng.randrange(256)
    return bytes(blob)


def opens(answer: Answer) -> bool:
    """Whether it is an answer that the token alone opens."""
    words = (b'"window_start":"2', b'"runs":[', b"metric_name,", b"step_name,")
    return answer.status == 200 and any(word in answer.body for word in words)


def bombard(hostile, seed: int, number: int, has_token: bool) -> set[int]:
    rng, statuses = Random(seed), set()
    for _ in range(number):
        blob = request(rng, has_token)
        found = hostile.send(blob)  # which checks every answer
        assert len(found) <= 1, blob
        assert has_token or not any(map(opens, found)), blob
        statuses |= {answer.status for answer in found}
    return statuses


@pytest.mark.parametrize("has_token", [True, False], ids=["with the token", "without"])
def test_random_requests_get_valid_responses(hostile, has_token):
    assert {200, 400, 404, 405} <= bombard(hostile, 1, FEW, has_token)


@pytest.mark.chaos
@pytest.mark.parametrize("has_token", [True, False], ids=["with the token", "without"])
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random_requests_get_valid_responses(hostile, seed, has_token):
    assert {200, 400, 404, 405} <= bombard(hostile, seed, MANY, has_token)


@pytest.mark.chaos
def test_random_bytes_are_no_request(hostile):
    rng = Random(7)
    for _ in range(2000):
        hostile.send(rng.randbytes(rng.randrange(1, 3000)))
