"""The dashboard's files: size, security policy, caching and origin."""

import gzip
import json
import re

import pytest

from api import create_app, static_files
from api.settings import Settings

MOST_BYTES = 150_000
FILES = sorted(path for path in static_files.FOLDER.rglob("*") if path.suffix in static_files.TYPES)
OURS = [path for path in FILES if "vendor" not in path.parts]


@pytest.fixture(scope="module")
def client():
    return create_app(Settings("host=/nowhere")).test_client()


def address(path):
    return f"/static/{path.relative_to(static_files.FOLDER).as_posix()}"


def test_the_page_loads_at_most_150_kb(client):
    asked = {"Accept-Encoding": "gzip"}
    loaded = [address(path) for path in FILES if path.suffix in {".js", ".css", ".svg"}]
    answers = [client.get(path, headers=asked) for path in ["/", *loaded]]
    assert all(answer.status_code == 200 for answer in answers)
    assert sum(len(answer.data) for answer in answers) < MOST_BYTES
    big = max(answers, key=lambda answer: len(answer.data))
    assert big.headers["Content-Encoding"] == "gzip" and b"uPlot" in gzip.decompress(big.data)


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/static/favicon.svg"])
def test_policy_allows_no_other_origin_and_nothing_inline(client, path):
    policy = client.get(path).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy and "data:" not in policy


def test_page_needs_no_exception_from_the_policy():
    html = (static_files.FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html)
    for path in OURS:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?://|//[a-z]+\.|innerHTML|outerHTML|insertAdjacent|eval\(", text
        )


def test_page_preloads_all_its_modules():
    html = (static_files.FOLDER / "index.html").read_text()
    modules = {address(path) for path in OURS if path.suffix == ".js"} - {"/static/app.js"}
    assert {f"/{name}" for name in re.findall('modulepreload" href="([^"]+)"', html)} == modules


def test_an_unchanged_file_is_answered_with_304(client):
    first = client.get("/static/app.js")
    again = client.get("/static/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert first.headers["Cache-Control"] == "no-cache"
    assert again.status_code == 304 and again.data == b""
    assert "Content-Security-Policy" in again.headers


@pytest.mark.parametrize(
    "path",
    ["", "no", "views", "../pages.py", "..%2fpages.py", "%2e%2e/pages.py", "vendor/package.json",
     "//etc/passwd", "a%00b.js"],
)  # fmt: skip
def test_only_the_files_of_the_page_are_served(client, path):
    answer = client.get(f"/static/{path}")
    assert answer.status_code == 404 and answer.json["error"] == "Not Found"


def test_vendored_files_have_the_declared_version():
    vendor = static_files.FOLDER / "vendor"
    version = json.loads((vendor / "package.json").read_text())["dependencies"]["uplot"]
    assert (vendor / "uplot" / "VERSION.txt").read_text().strip() == version
    assert f"(v{version})" in (vendor / "uplot" / "uPlot.iife.min.js").read_text()[:200]
    assert "MIT License" in (vendor / "uplot" / "LICENSE.txt").read_text()
