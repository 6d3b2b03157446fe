"""`init --indexes`: what it builds, recognises and refuses."""

import os
import signal

import psycopg
import pytest
import tables
from commands import start, wait_until
from tables import event

from dbt_project.source import TABLES

USER_TIME = "event_logs_user_occurred_at"
RECEIVED = "event_logs_received_at_brin"


def found(conn):
    """The indexes of event_logs by name: whether they are valid, and what they are."""
    query = """
        select relname, indisvalid, pg_get_indexdef(indexrelid)
        from pg_index join pg_class as relation on relation.oid = indexrelid
        where indrelid = 'event_logs'::regclass
    """
    return {name: (valid, text) for name, valid, text in conn.execute(query)}


def test_indexes_are_built_when_asked_and_only_once(source, cli):
    source.events(*(event(f"2026-11-{day}", user=f"u{day}") for day in range(10, 24)))
    before = found(source.conn)
    assert cli("init").exit_code == 0
    assert found(source.conn) == before
    outcome = cli("init", "--indexes")
    assert outcome.exit_code == 0, outcome.stderr
    new = {name: index for name, index in found(source.conn).items() if name not in before}
    assert new == {
        USER_TIME: (
            True,
            f"CREATE INDEX {USER_TIME} ON public.event_logs"
            " USING btree (anonymous_user_id, occurred_at)",
        ),
        RECEIVED: (
            True,
            f"CREATE INDEX {RECEIVED} ON public.event_logs USING brin (received_at)",
        ),
    }
    assert outcome.stderr.count("create index concurrently") == 2
    again = cli("init", "--indexes")
    assert again.exit_code == 0 and again.stderr == ""
    assert f"event_logs has an index using brin (received_at), named {RECEIVED}.\n" in again.stdout
    assert again.stdout == outcome.stdout


@pytest.mark.parametrize(
    ("ddl", "serves"),
    [
        ("(anonymous_user_id, occurred_at)", True),
        ("(anonymous_user_id, occurred_at desc)", True),
        ("(anonymous_user_id, occurred_at, event_name) include (platform)", True),
        ("using brin (received_at) with (pages_per_range = 16)", True),
        ("(anonymous_user_id) include (occurred_at)", False),
        ("(occurred_at, anonymous_user_id)", False),
        ("(anonymous_user_id, occurred_at) where platform = 'ios'", False),
        ("(anonymous_user_id text_pattern_ops, occurred_at)", False),
        ('(anonymous_user_id collate "POSIX", occurred_at)', False),
        ("(lower(anonymous_user_id), occurred_at)", False),
        ("(received_at)", False),
        ("using brin (occurred_at)", False),
    ],
)
def test_an_index_under_another_name_is_recognised_when_it_serves(source, cli, ddl, serves):
    source.do(f'create index "Any name" on event_logs {ddl}')
    outcome = cli("init", "--indexes")
    assert outcome.exit_code == 0, outcome.stderr
    assert ("named Any name" in outcome.stdout) == serves
    assert len({USER_TIME, RECEIVED} & set(found(source.conn))) == (1 if serves else 2)
    assert all(valid for valid, _ in found(source.conn).values())


def test_a_name_that_another_index_has_is_an_error(source, cli):
    source.do(f"create index {USER_TIME} on event_logs (sent_at)")
    outcome = cli("init", "--indexes")
    assert outcome.exit_code == 1
    assert "is not there, because its name is taken" in outcome.stderr


def test_an_interrupted_build_is_repeated(source, cli, database_url):
    assert cli("init").exit_code == 0
    before = set(found(source.conn))
    # Otherwise a second build would wait forever for the writer.
    source.do(f"alter database {source.conn.info.dbname} set statement_timeout = '20s'")
    with psycopg.connect(database_url) as writer:
        writer.execute(
            "insert into event_logs select 'open', null, 'u', 's', 'i', 'ios', null, 'x', now()"
        )
        process = start(database_url, "init", "--indexes")
        try:
            # It waits for the transaction that writes to the table.
            wait_until(lambda: process.poll() is not None or USER_TIME in found(source.conn))
            refused = cli("init", "--indexes")
            assert refused.exit_code == 1 and "is being built" in refused.stderr
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
        assert (process.returncode, stdout) == (130, ""), stderr
        assert "the next `init --indexes` builds again" in stderr
        writer.rollback()
    assert set(found(source.conn)) - before == {USER_TIME}
    assert found(source.conn)[USER_TIME][0] is False

    plan = cli("init", "--indexes", "--dry-run").stdout
    assert f'drop index concurrently if exists "public"."{USER_TIME}";' in plan
    outcome = cli("init", "--indexes")
    assert outcome.exit_code == 0, outcome.stderr
    assert set(found(source.conn)) - before == {USER_TIME, RECEIVED}
    assert all(valid for valid, _ in found(source.conn).values())


def test_an_invalid_index_under_another_name_is_dropped(source, cli):
    source.do("create index leftover on event_logs (anonymous_user_id, occurred_at)")
    source.do("update pg_index set indisvalid = false where indexrelid = 'leftover'::regclass")
    assert cli("init", "--indexes").exit_code == 0
    assert "leftover" not in found(source.conn) and found(source.conn)[USER_TIME][0]


@pytest.mark.parametrize("kind", ["view", "partitioned"])
def test_a_view_or_partitioned_table_cannot_be_indexed(source, cli, kind):
    source.do("alter table event_logs rename to raw")
    if kind == "view":
        source.do("create view event_logs as select * from raw")
        told = "event_logs in schema public is a view, so it cannot be indexed"
    else:
        source.do("create table event_logs (like raw) partition by range (occurred_at)")
        source.do("create table part partition of event_logs default")
        told = "event_logs in schema public is partitioned, so it cannot be indexed"
    for dry in ((), ("--dry-run",)):
        outcome = cli("init", "--indexes", *dry)
        assert (outcome.exit_code, outcome.stdout) == (1, "")
        assert told in outcome.stderr
    (spaces,) = source.conn.execute("select to_regnamespace('analytics')").fetchone()
    assert spaces is None

    if kind == "partitioned":  # indexes that exist already are recognised
        source.do("create index on event_logs (anonymous_user_id, occurred_at)")
        source.do("create index on event_logs using brin (received_at)")
        assert cli("init", "--indexes").exit_code == 0


def test_only_the_owner_builds_indexes(source, cli, database_url, maintenance, monkeypatch):
    name = f"rollup_admin_{os.getpid()}"
    maintenance.execute(f"create role {name} login password 'p'")
    source.do(f"grant create on database {source.conn.info.dbname} to {name}")
    source.do(f"grant select on {', '.join(TABLES)} to {name}")
    monkeypatch.setenv("DATABASE_URL", tables.url_of(database_url, user=name, password="p"))
    outcome = cli("init", "--indexes")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    owner = source.conn.info.user
    assert f"event_logs in schema public belongs to {owner}, so it cannot" in outcome.stderr
    source.do(f"drop owned by {name}; drop role {name}")
