"""What a run refuses: tables of another system or role, code of others, a source it cannot read."""

import pytest
import tables
from tables import GUARDED, event

from dbt_project import macros, preflight
from dbt_project.messages import DatabaseError

CHANGES = {
    "alter table daily_metric_rollups alter day type timestamp(3)": (
        "daily_metric_rollups (column day is timestamp(3) without time zone, not date)"
    ),
    "delete from funnel_rollups; alter table funnel_rollups add id text not null": (
        "funnel_rollups (column id is NOT NULL without a default, and this project does not write"
    ),
    "alter table experiment_metric_rollups drop is_final": (
        "experiment_metric_rollups (there is no column is_final)"
    ),
    """
        drop index {key};
        create index on funnel_rollups (day, funnel_name, step_name, dimension_key);
        create unique index on funnel_rollups (day, funnel_name, step_name, dimension_key)
            where users_count > 0;
        create unique index on funnel_rollups (day, funnel_name, step_name)
            include (dimension_key) where false
    """: ("funnel_rollups (no unique index on (day, funnel_name, step_name, dimension_key))"),
    "alter table rollup_runs alter started_at type timestamp(3)": (
        "rollup_runs (column started_at is timestamp(3) without time zone, not timestamp with time"
    ),
    # Code of other roles, which would run with our privileges.
    "create trigger spy before insert on funnel_steps execute function public.spy_row()": (
        "funnel_steps has the trigger spy"
    ),
    'create rule "spy\n\x1b" as on insert to funnel_rollups do also select public.spy()': (
        r"funnel_rollups has the rule spy\n\x1b"
    ),
    "create policy spy on rollup_runs using (public.spy() > 0)": "rollup_runs has the policy spy",
    "alter table rollup_runs alter rows_written set default public.spy()": (
        "rollup_runs uses function public.spy(text)"
    ),
    "alter table experiment_catalog add check (public.spy() > 0) not valid": (
        "experiment_catalog uses function public.spy(text)"
    ),
    "create index on daily_metric_rollups (public.spy(metric_name))": (
        "daily_metric_rollups uses function public.spy(text)"
    ),
    "create domain spied int default public.spy(); alter table funnel_rollups add extra spied": (
        "funnel_rollups uses type "
    ),
    "drop table funnel_steps; create view funnel_steps as select public.spy() as funnel_name": (
        "funnel_steps is no table"
    ),
    # Changes that do not matter to a run.
    """
        alter table daily_metric_rollups add extra int;
        alter table daily_metric_rollups add id bigint not null generated always as identity;
        alter table daily_metric_rollups drop dimensions;
        drop index {key};
        alter table funnel_rollups add primary key (funnel_name, step_name, day, dimension_key)
    """: None,
}


def test_a_run_refuses_tables_of_others_and_no_others(source, run, cli, monkeypatch):
    source.event("2026-11-22 10:00")
    source.do("""
        create function public.spy(text default '') returns int language plpgsql immutable as
        $$ begin return 1; end $$;
        create function public.spy_row() returns trigger language plpgsql as
        $$ begin return new; end $$
    """)
    assert run().exit_code == 0
    for number, (change, told) in enumerate(CHANGES.items()):
        schema = f"copy_{number}"
        source.do(f"create schema {schema}; set search_path to {schema}")
        for table in ("rollup_runs", "experiment_catalog", "funnel_steps", *tables.ROLLUPS):
            source.do(f"create table {table} (like analytics.{table} including all)")
        (key,) = source.conn.execute(
            "select cast(cast(indexrelid as regclass) as text) from pg_index"
            " where indrelid = cast('funnel_rollups' as regclass) and indisunique"
        ).fetchone()
        source.do(change.format(key=key))
        source.do("set search_path to default")
        monkeypatch.setenv("ANALYTICS_SCHEMA", schema)
        outcome = run()
        if told:
            assert outcome.exit_code == 1 and told in outcome.summary["error"], change
            assert outcome.stderr.count("\n") == 1
            query = f"select count(*) from {schema}.rollup_runs"
            assert source.conn.execute(query).fetchone() == (0,)
            assert cli("runs").exit_code == (0 if "Another system" in outcome.stderr else 1), change
        else:
            assert outcome.exit_code == 0, outcome.stdout


def test_tables_of_another_role_are_refused_even_with_all_privileges(
    source, guarded, run, monkeypatch
):
    source.event("2026-11-22 10:00")
    assert run().exit_code == 0
    source.do(f"grant all on all tables in schema analytics to {GUARDED}")
    monkeypatch.setenv("DATABASE_URL", guarded)
    owner = source.conn.info.user
    outcome = run()
    assert outcome.exit_code == 1
    assert f" daily_metric_rollups belongs to {owner}," in outcome.stderr
    assert f"`init --writer {GUARDED}`" in outcome.stderr


# Row level security of the source, and what of it is refused.
HIDDEN = {
    "alter table event_logs enable row level security": [("event_logs", None)],
    "create policy \"of ios\" on event_logs using (platform = 'ios')": [
        ("event_logs", 'policy "of ios"')
    ],
    "create policy everyone on event_logs for select using (true)": [],
    "create policy narrow on event_logs as restrictive using (platform = 'ios')": [
        ("event_logs", 'policy everyone, narrow, "of ios"')
    ],
    """
        drop policy narrow on event_logs;
        create policy others on event_logs as restrictive to pg_monitor using (false)
    """: [],
    # A view is read with the rights of its owner, a superuser here, or with those of the reader.
    """
        alter table assignments rename to hidden;
        alter table hidden enable row level security;
        create view between as select * from hidden;
        create view assignments as select * from between
    """: [],
    "alter view assignments set (security_invoker = on)": [],
    "alter view between set (security_invoker = on)": [("hidden", None)],
}


def test_row_level_security_that_hides_rows_is_refused(source, guarded, run, cli, monkeypatch):
    names = ("event_logs", "assignments", "experiments", "experiment_variants")
    relations = ", ".join(f"to_regclass('public.{name}')" for name in names)
    query = macros("check_source").hidden_rows(relations)
    for change, found in HIDDEN.items():
        source.do(change)
        source.do(f"set role {GUARDED}")
        rows = source.conn.execute(query).fetchall()
        source.do("reset role")
        assert rows == [(GUARDED, *row) for row in found], change
        assert source.conn.execute(query).fetchall() == []

    source.do(f"grant select on all tables in schema public to {GUARDED}")
    monkeypatch.setenv("DATABASE_URL", guarded)
    told = f"Role {GUARDED} sees only some rows of public.hidden: row level security is on, and"
    outcome = run()
    assert outcome.exit_code == 1 and outcome.summary["error"].startswith(told)
    assert told in cli("dbt", "--", "run", "--select", "experiment").stdout
    query = "select to_regclass('analytics.experiment_catalog')"
    assert source.conn.execute(query).fetchone() == (None,)
    assert run("--job", "daily").exit_code == 0  # which reads the events alone


def refused(source, change, jobs, role=None):
    """The problems that are told after a change to the source, which is undone."""
    with source.conn.transaction(force_rollback=True):
        source.do(change)
        if role:
            source.do(f"set local role {role}")
        try:
            preflight.check(source.conn, "public", "analytics", jobs)
        except DatabaseError as error:
            text = str(error)
            lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
            return lines[: text.count(".\n  ")] or [text]
        return []


# Changes to the source, and what is told of them to the jobs daily and experiment.
ALTER = "alter table event_logs alter"
COLUMNS = {
    "create domain who as varchar(90); create domain person as who;"
    f"{ALTER} anonymous_user_id type person": ([], []),
    f"{ALTER} anonymous_user_id type bigint using 1, alter platform type int using 1;"
    "alter table experiment_variants alter weight type smallint, alter variant_name type uuid"
    " using null, alter variant_name drop not null": ([], []),
    "create type name as enum ('a'); alter table event_logs alter event_name type public.name"
    " using 'a'; alter table experiments alter status drop default, alter status type public.name"
    " using 'a', alter start_at type date, alter end_at type text": ([], []),
    "create domain moment as timestamptz(0) check (value > '2000-01-01');"
    f"{ALTER} occurred_at type moment using occurred_at at time zone 'UTC'": ([], []),
    f"{ALTER} experiment_map type json": ([], []),
    f"{ALTER} experiment_map type text": ([], []),
    "alter table event_logs drop received_at, add received_at timestamptz"
    " generated always as (occurred_at at time zone 'UTC') stored": ([], []),
    "alter table event_logs rename to whole; create table event_logs (like whole)"
    " partition by range (occurred_at)": ([], []),
    "create table whole (like event_logs) partition by list (platform);"
    "drop table event_logs; create table event_logs partition of whole default": ([], []),
    "drop table assignments; alter table experiments drop status": ([], []),
    "drop table experiments, assignments; alter table event_logs drop experiment_map": ([], []),
    "alter table event_logs drop experiment_map": (
        [], ["event_logs has no column experiment_map."],
    ),
    "alter table assignments rename assigned_at to at;"
    "alter table experiment_variants alter is_control drop default,"
    "  alter is_control type int using 1, alter weight drop default, alter weight type text": (
        [],
        [
            "assignments has no column assigned_at.",
            "experiment_variants.weight is text, not a number.",
            "experiment_variants.is_control is integer, not boolean.",
        ],
    ),
    "alter table event_logs drop event_name, drop app_version, alter occurred_at type bigint using"
    " 1, alter received_at drop default, alter received_at type text, drop anonymous_user_id,"
    " add anonymous_user_id json": (
        told := [
            "event_logs has no column event_name.",
            "event_logs has no column app_version.",
            "event_logs.anonymous_user_id is json, not a type that can be sorted, such as text.",
            "event_logs.occurred_at is bigint, not timestamp or timestamptz.",
            "event_logs.received_at is text, not timestamp or timestamptz.",
        ],
        told,
    ),
    f"{ALTER} occurred_at type date; {ALTER} received_at drop default;"
    f"{ALTER} received_at type time": (
        told := [
            "event_logs.occurred_at is date, not timestamp or timestamptz.",
            "event_logs.received_at is time without time zone, not timestamp or timestamptz.",
        ],
        told,
    ),
    'alter table event_logs rename platform to "x\x1b\n"': (
        told := ["event_logs has no column platform."], told,
    ),
}  # fmt: skip


@pytest.mark.parametrize("job", [0, 1], ids=["daily", "experiment"])
def test_every_column_that_does_not_serve_is_told_and_no_other(source, job):
    for change, told in COLUMNS.items():
        assert refused(source, change, (("daily",), ("experiment",))[job]) == told[job], change


# Rights that the writer loses and gets, and what it is told.
RIGHTS = [
    ("select on event_logs", None, "event_logs in schema public"),
    ("usage on schema public", None, "event_logs in schema public"),
    ("select on assignments, experiments", None, None),
    (
        "select on event_logs",
        "select (anonymous_user_id, event_name, occurred_at, received_at, platform, app_version,"
        " experiment_map) on event_logs",
        None,
    ),
    (
        "select on event_logs",
        "select (id, anonymous_user_id, event_name, received_at, platform) on event_logs",
        "column occurred_at, app_version, experiment_map of event_logs in schema public",
    ),
]


def test_the_job_daily_needs_the_rights_that_it_uses(source, guarded):
    source.do(f"revoke all on schema public from public; grant usage on schema public to {GUARDED}")
    for lost, given, told in RIGHTS:
        change = f"revoke {lost} from {GUARDED};"
        change += f"grant {given} to {GUARDED}" if given else ""
        found = refused(source, change, ("daily",), GUARDED)
        assert bool(found) == bool(told), (change, found)
        assert not told or f"Role {source.conn.info.user} may not read {told}. Grant" in found[0]


def test_the_views_that_are_told_mend_the_source(source, run, monkeypatch):
    source.events(*(event(f"2026-11-{day} 10:00:00.125", user=f"{day}") for day in (21, 22, 23)))
    source.event("2026-11-23 12:00", "session_submitted", "22")
    wanted = tables.expected(source.rows(), tables.NOW, 14).daily
    source.do("""
        alter table event_logs alter occurred_at type bigint
            using extract(epoch from occurred_at at time zone 'UTC') * 1000;
        alter table event_logs rename occurred_at to "created at";
        alter table event_logs rename anonymous_user_id to "User-Id";
        alter table event_logs rename event_name to "Action";
        alter table event_logs drop platform, drop received_at, drop experiment_map
    """)
    outcome = run("--job", "daily")
    told, _, views = outcome.summary["error"].partition("\n\n")
    assert outcome.exit_code == 1 and "set SOURCE_SCHEMA=rollup_source." in told
    assert source.conn.execute("select to_regnamespace('analytics')").fetchone() == (None,)
    source.do(views)
    monkeypatch.setenv("SOURCE_SCHEMA", "rollup_source")
    outcome = run("--job", "daily")
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    assert tables.stored(source.conn).daily == wanted
