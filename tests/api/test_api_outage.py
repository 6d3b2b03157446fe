"""Outages of the database, and slow queries."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from api_helpers import fetch, is_error
from psycopg import sql

from api.database import PAUSE_S

SUMMARY, DAILY = "/v1/metrics/summary", "/v1/metrics/daily"


@pytest.fixture
def client(api_client, api_copy):
    return api_client(api_copy.info.dsn, pool_timeout_s=1.0)


@pytest.fixture
def kill(maintenance, api_copy):
    """Terminate the API's connections to the test's database."""

    def kill():
        maintenance.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = %s and pid <> %s",
            [api_copy.info.dbname, api_copy.info.backend_pid],
        )

    return kill


@pytest.fixture
def away(maintenance, api_copy, kill):
    """Refuse connections to the test's database, or allow them again."""

    def set_away(is_away):
        maintenance.execute(
            sql.SQL("alter database {} with allow_connections {}").format(
                sql.Identifier(api_copy.info.dbname), sql.Literal(not is_away)
            )
        )
        if is_away:
            kill()

    yield set_away
    set_away(False)


def test_restart_between_two_requests_causes_no_error(client, kill):
    for path in (SUMMARY, DAILY, f"{DAILY}?format=csv", "/ready", "/v1/runs"):
        assert fetch(client, path).status_code == 200
        kill()
        assert fetch(client, path).status_code == 200


def test_restart_under_many_connections_causes_no_error(client, kill):
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            responses = threads.map(lambda _: fetch(client, DAILY), range(8))
            assert [response.status_code for response in responses] == [200] * 8
            kill()


def test_outage_gives_503_until_the_database_is_back(client, away):
    assert fetch(client, DAILY).status_code == 200
    away(True)
    for path in (DAILY, SUMMARY, f"{DAILY}?format=csv", "/ready", "/v1/runs"):
        response = fetch(client, path)
        assert is_error(response, 503, "Service Unavailable")
        assert response.headers["Retry-After"] == "5"
        assert "dbname" not in response.text and "connection" not in response.text
    assert fetch(client, "/health").json == {"ok": True}

    away(False)
    began = time.monotonic()
    while fetch(client, DAILY).status_code == 503:
        assert time.monotonic() - began < 5
        time.sleep(0.05)


def test_requests_during_an_outage_do_not_pile_up(client, away, monkeypatch):
    fetch(client, DAILY)
    away(True)
    fetch(client, DAILY)
    pool, waits = client.application.extensions["database"].pool, []
    getconn = pool.getconn
    monkeypatch.setattr(pool, "getconn", lambda: waits.append(time.monotonic()) or getconn())
    for _ in range(20):
        assert fetch(client, DAILY).status_code == 503
    # One a second waits for the server; the others are answered at once.
    assert all(later - earlier >= PAUSE_S for earlier, later in pairwise(waits))
    assert len(waits) < 10


def test_unreachable_database_gives_503_without_the_password(api_client):
    client = api_client("host=/nowhere dbname=none user=u password=hunter2", pool_timeout_s=0.2)
    response = fetch(client, SUMMARY)
    assert is_error(response, 503, "Service Unavailable")
    assert "hunter2" not in response.text


def test_slow_query_is_cancelled(api_client, api_conninfo):
    client = api_client(api_conninfo, statement_timeout_s=0.5)
    statements = client.application.extensions["queries"]
    for name in ("daily", "daily.csv"):
        statements[name] = "select false, pg_sleep(5)::text"
    for path in (DAILY, f"{DAILY}?format=csv"):
        began = time.monotonic()
        response = fetch(client, path)
        assert is_error(response, 503, "Service Unavailable")
        assert "took longer than 0.5 seconds" in response.json["message"]
        assert "API_STATEMENT_TIMEOUT_S" in response.json["message"]
        assert time.monotonic() - began < 2
    assert fetch(client, SUMMARY).status_code == 200
