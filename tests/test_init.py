"""`init`: the schema, the run log, and the privileges of a writer and a reader."""

import os
import shutil
from datetime import UTC

import psycopg
import pytest
import tables
from psycopg import sql
from tables import NOW, event

from api import create_app
from api.settings import Settings
from dbt_project import ROOT, runner
from dbt_project import init as initialise
from dbt_project.database import database_name, dbt_environment
from dbt_project.our_tables import OURS
from dbt_project.source import TABLES
from dbt_project.url import parse_url

PASSWORD = "p@ss/w:rd 100%?"
# Names that would do harm wherever they are not quoted.
WRITER = f"""Etl "w" '; drop schema public cascade; -- {os.getpid()}"""
READER = f"""Dash %s {{0}} "r" ' {os.getpid()}"""
OTHER = f"Other {os.getpid()}"
PATHS = (
    *("/v1/metrics/daily", "/v1/metrics/daily?format=csv", "/v1/metrics/experiments"),
    *("/v1/metrics/funnels", "/v1/metrics/readouts", "/v1/metrics/summary", "/v1/runs", "/ready"),
    *("/v1/metrics/conversions", "/v1/metrics/retention", "/v1/metrics/dimensions"),
)


@pytest.fixture
def login(database_url, maintenance):
    """Create a role without privileges; return the test database's URL for it."""
    roles = []

    def create(name):
        roles.append(name)
        maintenance.execute(f"create role {quoted(name)} login password '{PASSWORD}'")
        return tables.url_of(database_url, user=name, password=PASSWORD)

    yield create
    with psycopg.connect(database_url, autocommit=True) as conn:
        for name in map(quoted, reversed(roles)):
            conn.execute(f"drop owned by {name} cascade; drop role {name}")


@pytest.fixture
def app(source):
    """A source with an experiment, an assignment and two events."""
    source.experiment("x", ("A", "B"), start_at="2026-11-01")
    source.assign("a", "x", "A", "2026-11-22 09:00")
    source.events(
        event("2026-11-22 10:00", user="a", mapping={"x": "A"}),
        event("2026-11-23 10:00", "session_submitted", "a", mapping={"x": "A"}),
    )
    return source


def quoted(role):
    return sql.Identifier(role).as_string()


def as_role(url, query):
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(query)
        return cursor.fetchall() if cursor.description else []


def catalogue(conn):
    """Everything that `init` could change."""
    places = {
        "pg_class": "relname, relowner, relacl",
        "pg_namespace": "nspname, nspowner, nspacl",
        "pg_default_acl": "defaclrole, defaclnamespace, defaclacl",
        "pg_database where datname = current_database()": "datname, datacl",
    }
    return [
        conn.execute(f"select {columns} from {place} order by oid").fetchall()
        for place, columns in places.items()
    ]


def rights(conn):
    """The same by name, to compare two databases."""
    queries = (
        "select nspname, nspacl::text from pg_namespace where nspname in ('public', 'analytics')",
        "select relname, pg_get_userbyid(relowner), relacl::text from pg_class"
        " where relnamespace in ('analytics'::regnamespace, 'public'::regnamespace)",
        "select pg_get_userbyid(defaclrole), defaclacl::text from pg_default_acl",
    )
    return [sorted(conn.execute(query).fetchall()) for query in queries]


def test_init_alone_creates_the_schema_and_the_run_log_once(db, cli):
    first = cli("init")
    assert (first.exit_code, first.stderr) == (0, "")
    place = database_name(db)
    assert first.stdout == f"Schema analytics holds the run log.\nSet up in {place}.\n"
    query = "select tablename from pg_tables where schemaname = 'analytics'"
    assert db.execute(query).fetchall() == [("rollup_runs",)]
    before = catalogue(db)
    db.rollback()
    again = cli("init")
    assert again.stdout == first.stdout
    assert catalogue(db) == before


def test_the_writer_runs_every_job_and_the_reader_serves_the_api(app, cli, run, login, monkeypatch):
    writer, reader = login(WRITER), login(READER)
    options = ("init", "--writer", WRITER, "--reader", READER)
    first = cli(*options)
    assert first.exit_code == 0, first.stderr
    assert "Role" not in first.stdout  # it has no other privileges
    before = catalogue(app.conn)
    again = cli(*options)
    assert again == first and catalogue(app.conn) == before

    monkeypatch.setenv("DATABASE_URL", writer)
    for arguments in ((), ("--job", "daily")):
        outcome = run(*arguments)
        assert outcome.exit_code == 0, outcome.stdout
        assert "warning" not in outcome.stderr.lower()
    assert cli("runs").exit_code == 0

    bodies = []
    for url in (reader, tables.url_of(writer)):
        flask = create_app(Settings(parse_url(url), token="t"), now=lambda: NOW.replace(tzinfo=UTC))
        client, headers = flask.test_client(), {"x-dashboard-token": "t"}
        answers = [client.get(path, headers=headers, buffered=True) for path in PATHS]
        assert [answer.status_code for answer in answers] == [200] * len(PATHS)
        bodies.append([answer.data for answer in answers])
        flask.extensions["database"].close()
    assert bodies[0] == bodies[1]
    assert b'"dau" : 1' in bodies[0][0] and b'"users_assigned" : 1' in bodies[0][2]

    for refused in (
        "select * from public.event_logs",
        "select * from public.assignments",
        "delete from analytics.daily_metric_rollups",
        "update analytics.rollup_runs set status = 'FAILED'",
        "truncate analytics.funnel_steps",
        "create table analytics.mine (id int)",
        "drop table analytics.funnel_rollups",
        "alter table analytics.funnel_rollups add column mine int",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(reader, refused)


@pytest.mark.chaos
def test_the_reader_keeps_reading_tables_that_are_dropped_and_built_again(
    app, cli, login, monkeypatch, database_url
):
    writer, reader = login(WRITER), login(READER)
    options = ("init", "--writer", WRITER, "--reader", READER)
    cli(*options)
    built = [*tables.ROLLUPS, *tables.REWRITTEN, "experiment_catalog", "funnel_steps"]

    def all_read():
        return [as_role(reader, f"select count(*) > 0 from analytics.{name}") for name in built]

    no_tests = ("--exclude-resource-types", "unit_test test")
    build = ("dbt", "--", "build", "--full-refresh", *no_tests)
    monkeypatch.setenv("DATABASE_URL", writer)
    for arguments in (("--as-of", NOW), build):
        app.do(f"drop table if exists {', '.join(f'analytics.{name}' for name in built)}")
        outcome = cli(*arguments)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        assert all_read() == [[(True,)]] * len(built)

    # `init` grants what was revoked, and a run revokes nothing.
    app.do(f"revoke all on all tables in schema analytics from {quoted(READER)}")
    other, name = login(OTHER), quoted(OTHER)
    app.do(f"grant usage on schema analytics to {name}")
    app.do(f"grant select on all tables in schema analytics to {name}")
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert cli(*options).exit_code == 0
    monkeypatch.setenv("DATABASE_URL", writer)
    assert cli("--as-of", NOW).exit_code == 0
    assert all_read() == [[(True,)]] * len(built)
    assert as_role(other, "select count(*) > 0 from analytics.funnel_steps") == [(True,)]


def test_readers_in_dbts_configuration_have_their_rights(
    app, cli, run, login, tmp_path, monkeypatch
):
    readers = ("rollup_dashboard", "rollup_analyst")
    for role in readers:
        login(role)
    cli("init", "--reader", readers[0])
    run()
    for part in ("models", "macros", "seeds", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("*.py", "api"))
    for part in ("profiles.yml.example", "dbt_project.yml"):
        shutil.copy(ROOT / part, tmp_path / part)
    project = tmp_path / "dbt_project.yml"
    models, granted = "\nmodels:\n", f"  +grants: {{select: [{', '.join(readers)}]}}\n"
    project.write_text(project.read_text().replace(models, models + granted))
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    environment = dbt_environment(app.conn)
    outcome = runner.dbt(["run", "--select", "daily", "--log-level", "none"], environment)
    assert outcome.success, outcome.exception
    query = "select has_table_privilege(%s, 'analytics.daily_metric_rollups', 'select')"
    for role in readers:
        assert app.conn.execute(query, [role]).fetchone() == (True,)


@pytest.mark.parametrize("order", ["writer first", "reader first"])
def test_writer_and_reader_may_be_named_in_either_order(app, cli, login, order):
    writer, reader = login(WRITER), login(READER)
    steps = [("--writer", WRITER), ("--reader", READER)]
    for options in steps if order == "writer first" else steps[::-1]:
        assert cli("init", *options).exit_code == 0
    as_role(writer, "create table analytics.extra as select 1 as one")
    assert as_role(reader, "select * from analytics.extra") == [(1,)]


def test_the_writer_becomes_the_owner_of_existing_tables(app, cli, run, login, monkeypatch):
    writer, reader = login(WRITER), login(READER)
    assert run().exit_code == 0
    app.do("create table analytics.not_ours as select 1 as one")
    app.do("create table analytics.rollup_alerts ()")  # as a run with --notify does
    assert cli("init", "--writer", WRITER, "--reader", READER).exit_code == 0
    query = """
        select
            pg_get_userbyid(relowner) = %s,
            array_agg(relname),
            bool_and(has_table_privilege(%s, oid, 'select'))
        from pg_class
        where relnamespace = 'analytics'::regnamespace and relkind = 'r'
        group by 1
        order by 1
    """
    others, ours = app.conn.execute(query, [WRITER, READER])
    assert others == (False, ["not_ours"], True)
    assert (ours[0], len(ours[1]), ours[2]) == (True, len(OURS), True)
    # What only an owner may do: dbt adds columns that a table lacks.
    app.do("alter table analytics.daily_metric_rollups drop column dimensions")
    monkeypatch.setenv("DATABASE_URL", writer)
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout
    as_role(reader, "select dimensions from analytics.daily_metric_rollups")


def test_a_table_in_use_is_not_waited_for(app, cli, run, login, monkeypatch, database_url):
    login(WRITER)
    assert run("--job", "daily").exit_code == 0
    before = catalogue(app.conn)
    monkeypatch.setattr(initialise, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(database_url) as conn:
        conn.execute("select count(*) from analytics.daily_metric_rollups")
        outcome = cli("init", "--writer", WRITER)
    assert outcome.exit_code == 1 and "holds one of the tables" in outcome.stderr
    assert catalogue(app.conn) == before


def test_a_dry_run_prints_sql_that_does_what_init_does(app, cli, login):
    login(WRITER), login(READER)
    options = ("init", "--writer", WRITER, "--reader", READER, "--indexes")
    before = catalogue(app.conn)
    plan = cli(*options, "--dry-run")
    assert plan.exit_code == 0 and catalogue(app.conn) == before
    rights_inside, indexes = plan.stdout.split("commit;\n")
    app.do(rights_inside + "commit")
    for statement in indexes.split(";\n")[:-1]:
        app.do(statement)
    by_hand = rights(app.conn)
    rights_inside, indexes = cli(*options, "--dry-run").stdout.split("commit;")
    app.do(rights_inside + "commit")  # changes nothing
    assert rights(app.conn) == by_hand and not indexes.strip()
    app.do("drop schema analytics cascade; drop index event_logs_user_occurred_at,"
           " event_logs_received_at_brin")  # fmt: skip
    app.do(f"drop owned by {quoted(WRITER)}")
    assert cli(*options).exit_code == 0
    assert rights(app.conn) == by_hand


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--writer", "no such role"), "There is no role no such role on this server. Create it"),
        (("--writer", "no such role"), 'as in: create role "no such role" login password'),
        (("--reader", "public"), "no role public"),
        (("--reader", READER, "--reader", ""), "no role "),
        (("--writer", READER, "--reader", READER), "is no reader"),
        (("--writer", WRITER, "--reader", READER), "source table event_logs is not in schema"),
        (("--indexes",), "source table event_logs is not in schema"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_with_nothing_changed(app, cli, login, options, told):
    login(READER), login(WRITER)
    if "event_logs" in told:
        app.do("alter table event_logs rename to events")
    before = catalogue(app.conn)
    for dry in ((), ("--dry-run",)):
        outcome = cli("init", *options, *dry)
        assert (outcome.exit_code, outcome.stdout) == (1, "")
        assert told in outcome.stderr and "Traceback" not in outcome.stderr
    assert catalogue(app.conn) == before


def test_a_reader_with_other_ways_in_is_refused_or_reported(app, cli, login, monkeypatch):
    login(WRITER), login(READER)
    app.do(f"grant {quoted(WRITER)} to {quoted(READER)}")
    outcome = cli("init", "--writer", WRITER, "--reader", READER)
    assert outcome.exit_code == 1 and "or a member of it" in outcome.stderr
    assert cli("init", "--writer", WRITER).exit_code == 0
    outcome = cli("init", "--reader", READER)
    assert outcome.exit_code == 1 and "or a member of it" in outcome.stderr
    app.do(f"revoke {quoted(WRITER)} from {quoted(READER)}")

    monkeypatch.setenv("ANALYTICS_SCHEMA", "public")
    outcome = cli("init", "--reader", READER)
    assert outcome.exit_code == 1 and "where a reader would read both" in outcome.stderr
    monkeypatch.delenv("ANALYTICS_SCHEMA")

    app.do(
        "grant select on experiments to public; grant usage, create on schema analytics to public"
    )
    outcome = cli("init", "--reader", READER)
    assert outcome.exit_code == 0
    assert f"Role {READER} may also read the source, by rights given elsewhere." in outcome.stdout
    assert "may also write" not in outcome.stdout
    app.do("grant delete on analytics.rollup_runs to public")
    assert (
        f"Role {READER} may also write analytics, by rights"
        in cli("init", "--reader", READER).stdout
    )


@pytest.mark.parametrize("given", ["nothing", "all but what it cannot give"])
def test_a_role_that_may_not_grant_changes_nothing(app, cli, login, monkeypatch, given):
    login(WRITER), login(READER)
    monkeypatch.setenv("DATABASE_URL", login(OTHER))
    if given != "nothing":
        app.do(f"create schema analytics authorization {quoted(OTHER)}")
        app.do(f"grant select on all tables in schema public to {quoted(OTHER)}")
        app.do(f"grant {quoted(WRITER)} to {quoted(OTHER)}")
    before = catalogue(app.conn)
    outcome = cli("init", "--writer", WRITER, "--reader", READER)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    told = "permission denied" if given == "nothing" else "no privileges were granted for"
    assert told in outcome.stderr and "Nothing was changed." in outcome.stderr
    assert catalogue(app.conn) == before


def test_a_role_that_is_no_superuser_can_set_up_its_own_database(
    app, cli, run, login, monkeypatch, database_url
):
    writer, reader = login(WRITER), login(READER)
    monkeypatch.setenv("DATABASE_URL", login(OTHER))
    app.do(f"alter database {app.conn.info.dbname} owner to {quoted(OTHER)}")
    app.do(f"grant {quoted(WRITER)} to {quoted(OTHER)}")
    for table in TABLES:
        app.do(f"alter table {table} owner to {quoted(OTHER)}")
    outcome = cli("init", "--writer", WRITER, "--reader", READER, "--indexes")
    assert outcome.exit_code == 0, outcome.stderr
    monkeypatch.setenv("DATABASE_URL", writer)
    assert run("--job", "daily").exit_code == 0
    assert as_role(reader, "select count(*) > 0 from analytics.daily_metric_rollups") == [(True,)]
    app.do(f"alter database {app.conn.info.dbname} owner to current_user")


APP = """
    create schema "My ""App";
    create table users (id bigint primary key, user_id uuid, name text, created_at timestamptz);
    create view trap as select 1 / 0 as user_id, cast('x' as text) as event, now() as "time";
    create table "My ""App"."Click's %s {{ x }}\x1b""log" (
        "User Id" bigint, "Name" text, "tsMs; drop table users --" text, ts_ms bigint, payload jsonb
    );
    insert into "My ""App"."Click's %s {{ x }}\x1b""log"
    values (7, 'app_opened', '', 1763978400125), (7, 'session_submitted', '', 1763978460000);
    create table "My ""App".tests (key text, state text, started_at date);
    create table "My ""App".arms (test_id text, arm text, control int, share money);
    create table "My ""App".exposures (uid bigint, test_id text, arm text, ts int);
    insert into "My ""App".tests values ('x', 'RUNNING', '2025-11-01');
    insert into "My ""App".arms values ('x', 'A', 1, 0.5);
    insert into "My ""App".exposures values (7, 'x', 'A', 1763978400)
"""


def test_the_map_of_an_apps_own_tables_runs_as_it_is_printed(db, cli, run, monkeypatch):
    db.execute(APP.encode())
    db.commit()
    before = catalogue(db)
    first = cli("init", "--map")
    assert (first.exit_code, first.stderr) == (0, "") and "<which" not in first.stdout
    assert "-- Also looks like a log: public.trap, public.users.\n" in first.stdout
    assert catalogue(db) == before
    db.execute(first.stdout.encode())
    db.commit()
    monkeypatch.setenv("SOURCE_SCHEMA", "rollup_source")
    assert run("--job", "daily", "--job", "experiment", as_of="2025-11-25").exit_code == 0
    found = db.execute("""
        select day, metric_name, value from analytics.daily_metric_rollups
        where value = 1 and metric_name in ('dau', 'logging_rate_24h', 'sessions_submitted')
        union
        select day, metric_name, value from analytics.experiment_metric_rollups
        where value > 0 and metric_name = 'users_assigned' and day = '2025-11-24'
        order by 2
    """).fetchall()
    assert {(f"{day}", name) for day, name, _ in found} == {
        ("2025-11-24", name)
        for name in ("dau", "logging_rate_24h", "sessions_submitted", "users_assigned")
    }
    assert cli("init", "--map").stdout.startswith("-- Schema rollup_source has what a run reads")
    monkeypatch.delenv("SOURCE_SCHEMA")
    assert "create schema rollup_source_2;" in cli("init", "--map").stdout


@pytest.mark.parametrize(
    ("change", "told", "message"),
    [
        ("drop table x", "FIRST replace what stands in <…> (5)", 'relation "<which table'),
        ("alter table x drop event", "FIRST replace what stands in <…> (1)", 'column "<which col'),
        ("alter table x drop uid", "FIRST replace what stands in <…> (1)", 'column "<which col'),
    ],
)
def test_what_the_map_cannot_guess_fails_until_it_is_filled_in(db, cli, change, told, message):
    db.execute("create table x (uid text, event text, at text, time text)")
    db.execute(change)
    db.commit()
    outcome = cli("init", "--map")
    assert outcome.exit_code == 0 and told in outcome.stdout
    with pytest.raises(psycopg.errors.Error, match=message):
        db.execute(outcome.stdout.encode())
    assert cli("init", "--map", "--indexes").exit_code == 2
