"""Tables in our place that another system made, and those that only look like it."""

import tables

CHANGES = {
    "alter table daily_metric_rollups alter day type timestamp(3)": (
        "daily_metric_rollups (column day is timestamp(3) without time zone, not date)"
    ),
    "delete from funnel_rollups; alter table funnel_rollups add id text not null": (
        "funnel_rollups (column id must be filled and nobody does)"
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
    # None of these keeps a run from writing.
    """
        alter table daily_metric_rollups add extra int;
        alter table daily_metric_rollups add id bigint not null generated always as identity;
        alter table daily_metric_rollups drop dimensions;
        drop index {key};
        alter table funnel_rollups add primary key (funnel_name, step_name, day, dimension_key)
    """: None,
}


def test_a_run_knows_its_own_tables_from_others(source, run, monkeypatch):
    source.event("2026-11-22 10:00")
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
            query = f"select count(*) from {schema}.rollup_runs"
            assert source.conn.execute(query).fetchone() == (0,)
        else:
            assert outcome.exit_code == 0, outcome.stdout
