"""A server that requires TLS and a password, directly and behind pgbouncer."""

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import tables
from api_helpers import TOKEN, ask, serving, wait_for
from commands import assert_nothing_is_left, at_once, jobs
from pgbouncer import pgbouncer
from tables import NOW, differences, event, expected, stored
from tls import PASSWORD, guarded

from dbt_project.database import connect
from dbt_project.messages import DatabaseError
from dbt_project.source import create_source_tables
from dbt_project.url import parse_url

DAILY = "/v1/metrics/daily?from=2026-11-22&to=2026-11-22"


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="rollup-tls-") as name, guarded(Path(name)) as running:
        wait_for(lambda: can_connect(running))
        yield running


def can_connect(running):
    try:
        connect(parse_url(url_of(running))).close()
    except DatabaseError:
        return False
    return True


def url_of(running, query="sslmode=require", *, host="localhost", password=PASSWORD, port=None):
    secret = quote(password, safe="")
    return f"postgresql://owner:{secret}@{host}:{port or running.port}/postgres?{query}"


@pytest.fixture
def app(server):
    """The four source tables with one event in them."""
    with tables.connect(url_of(server)) as conn:
        create_source_tables(conn, "public")
        app = tables.App(conn)
        app.events(event("2026-11-22 10:00"))
        yield app
        app.do("drop schema if exists analytics, public cascade")
        app.do("create schema public")


def assert_pipeline_and_api_work(app, url):
    for command in (jobs(), jobs(), ["dbt", "--", "debug"], ["runs"]):
        (done,) = at_once(url, command)
        assert done.exit_code == 0, done
        assert PASSWORD not in done.stdout + done.stderr
        assert quote(PASSWORD, safe="") not in done.stdout + done.stderr
    assert differences(stored(app.conn), expected(app.rows(), NOW, 14)) == []
    assert_nothing_is_left(app.conn)
    with serving(DATABASE_URL=url, DASHBOARD_TOKEN=TOKEN) as (_, port, log):
        status, _, body = ask(port, DAILY)
        assert (status, json.loads(body)["days"][0]["metrics"]["dau"]) == (200, 1)
        assert "p@ss" not in log.read_text()


@pytest.mark.chaos
@pytest.mark.parametrize(
    "query",
    ["", "ssl=true", "sslmode=verify-full&sslrootcert={ca}", "sslrootcert=system"],
)
def test_everything_works_over_tls(app, server, query, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))  # the system's
    assert_pipeline_and_api_work(app, url_of(server, query.format(ca=server.ca)))


@pytest.mark.chaos
def test_everything_works_through_a_pooler_with_tls_on_both_sides(app, server, folder):
    with pooler(server, folder) as port:
        query = f"sslmode=verify-full&sslrootcert={server.ca}"
        assert_pipeline_and_api_work(app, url_of(server, query, port=port))


@contextmanager
def pooler(server, folder):
    (folder / "users").write_text(f'"owner" "{PASSWORD}"\n')
    certificates = server.ca.parent
    for name in ("server.crt", "server.key", "ca.crt"):
        (folder / name).write_bytes((certificates / name).read_bytes())
    settings = {
        "auth_type": "scram-sha-256",
        "auth_file": folder / "users",
        "client_tls_sslmode": "require",
        "client_tls_cert_file": folder / "server.crt",
        "client_tls_key_file": folder / "server.key",
        "server_tls_sslmode": "verify-full",
        "server_tls_ca_file": folder / "ca.crt",
    }
    with pgbouncer(f"host=localhost port={server.port}", folder, **settings) as port:
        yield port


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("query", "changes", "advice"),
    [
        ("sslmode=disable", {}, "may require TLS: put sslmode=require into DATABASE_URL."),
        ("sslmode=verify-full&sslrootcert={wrong_ca}", {},
         "sslrootcert must name the certificate that signed the server's."),
        ("sslmode=verify-full&sslrootcert=/nowhere.crt", {}, "sslrootcert must name"),
        ("sslmode=verify-full&sslrootcert={ca}", {"host": "127.0.0.1"},
         "Write the host as the server's certificate has it."),
        ("sslmode=require", {"password": "wrong"}, "Check the user and the password"),
    ],
)  # fmt: skip
def test_a_refused_connection_is_explained(server, query, changes, advice):
    url = url_of(server, query.format(**server._asdict()), **changes)
    (done,) = at_once(url, jobs())
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: Cannot connect to ") and done.stderr.count("\n") == 1
    assert advice in done.stderr and "p@ss" not in done.stderr
