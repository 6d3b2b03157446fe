"""Tables that a run refuses to write: of another system or role, or with code of others."""

import tables
from tables import GUARDED

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
    assert f"In schema analytics daily_metric_rollups belongs to {owner}," in outcome.stderr
    assert f"`init --writer {GUARDED}`" in outcome.stderr
