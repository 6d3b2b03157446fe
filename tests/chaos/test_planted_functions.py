"""No code that the app plants in its schema runs with the privileges of the jobs or the API."""

from contextlib import suppress

import planted
import psycopg
import pytest
import tables
from api_helpers import fetch
from pgbouncer import pgbouncer
from psycopg import sql

from dbt_project.source import create_source_tables

APP, WRITER, READER = "rollup_app", "rollup_planted_writer", "rollup_planted_reader"
AS_OF = "2026-11-23T15:30:00Z"
PATHS = [f"/v1/metrics/{name}" for name in ("daily", "experiments", "funnels", "readouts")]
PATHS += [f"{path}?format=csv" for path in PATHS]
PATHS += ["/v1/metrics/summary", "/v1/runs", "/ready"]


@pytest.fixture(scope="module")
def mined(lasting_database, maintenance):
    """The source in a `public` that belongs to the app, with everything planted."""
    maintenance.execute("select pg_advisory_lock(hashtext(%s))", [APP])
    with tables.connect(tables.url_of(lasting_database())) as conn:
        source = tables.App(conn)
        create_source_tables(conn, "public")
        for role in (APP, WRITER, READER):
            query = "drop role if exists {0}; create role {0} login"
            conn.execute(sql.SQL(query).format(sql.Identifier(role)))
        source.do(f"alter schema public owner to {APP}")
        source.do(f"set role {APP}")
        planted.plant(conn)
        source.do("reset role")
        source.experiment("x", ("A", "B"))
        source.assign("u", "x", "A", "2026-11-20 12:00:00")
        source.event("2026-11-20 12:00:00", "app_opened", "u", mapping={"x": "A"})
        yield source
        source.do("drop schema public cascade; create schema public")
        for role in (APP, WRITER, READER):
            source.do(f"drop owned by {role}; drop role {role}")
    maintenance.execute("select pg_advisory_unlock(hashtext(%s))", [APP])


@pytest.fixture(scope="module")
def writer(mined, run_on):
    """The URL of the writer, after `init` and a first run."""
    dsn = mined.conn.info.dsn
    run_on(tables.url_of(dsn), "init", "--writer", WRITER, "--reader", READER, "--indexes")
    url = tables.url_of(dsn, user=WRITER)
    run_on(url, "--as-of", AS_OF)
    assert planted.calls(mined.conn) == 0
    return url


def test_the_trap_works(mined):
    for query in (
        "select hashtextextended('x'::text, 0)",
        "select 'x'::name ~~* 'x'",
        "select has_table_privilege('postgres'::name, 'pg_class'::regclass, 'select')",
        "select json_build_object('x'::text, 'x'::text)",
        "select max('x'::name)",
    ):
        with suppress(psycopg.Error):
            mined.conn.execute(query)
        assert planted.calls(mined.conn) > 0, query


def test_nothing_planted_runs_as_the_jobs(mined, writer, run_on, cli, monkeypatch):
    run_on(writer, "--as-of", AS_OF, "--allow-purged", "--yes")
    vars = f"{{as_of: '{AS_OF}'}}"
    run_on(writer, "dbt", "--", "build", "--select", "funnel", "--vars", vars)
    run_on(writer, "dbt", "--", "docs", "generate")
    run_on(writer, "runs")
    monkeypatch.setenv("DATABASE_URL", writer)
    cli("freshness")
    assert planted.calls(mined.conn) == 0


def test_nothing_planted_runs_in_the_script_that_init_prints(mined, writer, cli, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", tables.url_of(mined.conn.info.dsn))
    script = cli("init", "--dry-run", "--writer", WRITER, "--reader", READER)
    mined.conn.execute(script.stdout)  # as psql would, with `public` on the search path
    assert planted.calls(mined.conn) == 0


@pytest.mark.parametrize("way", ["directly", "through a pooler"])
def test_nothing_planted_runs_as_the_api(mined, writer, api_client, server, folder, way):
    def ask(conninfo):
        client = api_client(conninfo)
        for path in PATHS:
            answer = fetch(client, path)
            assert answer.status_code == 200 and 'no_data":true' not in answer.text, answer.text
        assert planted.calls(mined.conn) == 0

    if way == "directly":
        ask(tables.url_of(mined.conn.info.dsn, user=READER))
    else:
        with pgbouncer(server, folder) as port:
            ask(f"postgresql://postgres@127.0.0.1:{port}/{mined.conn.info.dbname}")
