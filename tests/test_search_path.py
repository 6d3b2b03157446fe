"""Nothing that the app plants in its schemas runs with the rights of the jobs or of `init`."""

from contextlib import suppress

import planted
import psycopg
import pytest
from psycopg import sql
from tables import url_of

APP, WRITER, READER = "rollup_app", "rollup_planted_writer", "rollup_planted_reader"


@pytest.fixture
def mined(source, maintenance):
    """The source in a `public` that belongs to the app, which has planted what it could."""
    maintenance.execute("select pg_advisory_lock(hashtext(%s))", [APP])
    roles = [APP, WRITER, READER]
    for role in roles:
        source.conn.execute(
            sql.SQL("drop role if exists {0}; create role {0} login").format(sql.Identifier(role))
        )
    source.conn.execute(f"alter schema public owner to {APP}")
    source.conn.execute(f"set role {APP}")
    planted.plant(source.conn)
    source.conn.execute("reset role")
    source.experiment("x", ("A", "B"))
    source.assign("u", "x", "A", "2026-11-20 12:00:00")
    source.event("2026-11-20 12:00:00", "app_opened", "u", mapping={"x": "A"})
    yield source
    source.do("drop schema public cascade; create schema public")
    for role in roles:
        source.do(f"drop owned by {role}; drop role {role}")
    maintenance.execute("select pg_advisory_unlock(hashtext(%s))", [APP])


def test_the_trap_works(mined):
    for query in (
        "select hashtextextended('x'::text, 0)",
        "select 'x'::name ~~* 'x'",
        "select has_table_privilege('postgres'::name, 'pg_class'::regclass, 'select')",
    ):
        before = planted.calls(mined.conn)
        with suppress(psycopg.Error):
            mined.conn.execute(query)
        assert planted.calls(mined.conn) > before, query


def test_nothing_planted_runs(mined, cli, database_url, monkeypatch, tmp_path):
    def succeed(*arguments):
        outcome = cli(*arguments)
        assert outcome.exit_code == 0, (arguments, outcome.stdout, outcome.stderr)

    succeed("init", "--writer", WRITER, "--reader", READER, "--indexes")
    monkeypatch.setenv("DATABASE_URL", url_of(database_url, user=WRITER))
    # The first run creates the tables, the second one merges into them.
    succeed("--as-of", "2026-11-23T15:30:00Z")
    succeed("--as-of", "2026-11-23T15:30:00Z", "--allow-purged", "--yes")
    succeed("dbt", "--", "build", "--select", "funnel", "--vars", "{as_of: '2026-11-23T15:30:00Z'}")
    succeed("dbt", "--", "docs", "generate")
    cli("freshness")
    succeed("runs")
    assert planted.calls(mined.conn) == 0
