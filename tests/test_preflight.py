"""Tables that a run refuses to write: of another system or role, or with code of others."""

import tables
from tables import GUARDED

from dbt_project import macros

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
