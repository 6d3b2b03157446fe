"""Play experiments that someone looks at every day: `python -m bench.peeking`."""

import os
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta

import click
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbt_project import embedded, runner
from dbt_project.database import dbt_environment
from dbt_project.report import table
from dbt_project.source import create_source_tables
from dbt_project.window import Window

FIRST = date(2026, 10, 1)
PLAYS = """
    insert into experiments (experiment_id, status)
    select format('%%s variants, %%s #%%s', arms, kind, number), 'RUNNING'
    from generate_series(2, 3) as arms
    cross join (values ('A/A', %(count)s), ('lift', %(count)s / 4)) as kinds (kind, plays)
    cross join lateral generate_series(1, plays) as number;
    insert into experiment_variants
        (id, experiment_id, variant_id, variant_name, is_control, weight)
    select experiment_id || arm, experiment_id, arm, arm, arm = 1, 1
    from experiments
    cross join lateral generate_series(1, cast(left(experiment_id, 1) as int)) as arm;
    create table looks (
        day date, experiment_id text, metric_name text, variant_id text, verdict text,
        p_value float, srm text
    );
    delete from analytics.experiment_metrics where delay_hours > 0;
    select setseed(0.13);
"""
# Each user draws a variant, and for both metrics a value: 1 with a chance of 30 %, or a geometric
# count with a mean of 1.5. The last variant has the lift of 20 %. What users did before has none.
DRAW = """
    with users as materialized (
        select experiment_id, arms, 1 + floor(arms * random())::int as arm
        from (select experiment_id, cast(left(experiment_id, 1) as int) as arms from experiments)
            as plays
        cross join lateral generate_series(1, %(users)s * arms)
    ),
    expected as (
        select
            *, case measure when 'any' then 0.3 else 1.5 end as pre,
            case when experiment_id like '%%lift%%' and arm = arms then 1.2 else 1 end as lift
        from users cross join analytics.experiment_metrics
    ),
    measured as (
        select
            experiment_id, arm, metric_name,
            case measure when 'any' then cast(random() < pre * lift as int)
                else floor(ln(1 - random()) / ln(pre * lift / (1 + pre * lift))) end as y,
            case measure when 'any' then cast(random() < pre as int)
                else floor(ln(1 - random()) / ln(pre / (1 + pre))) end as x
        from expected
    )
    insert into analytics.experiment_statistics (
        day, experiment_id, variant_id, metric_name, users, crossover_users, mean, m2,
        pre_mean, pre_m2, pre_comoment, matures_at, is_final, computed_at
    )
    select
        %(day)s, experiment_id, cast(arm as text), metric_name, count(*), 0,
        avg(y), regr_sxx(y, y), avg(x), regr_sxx(x, x), regr_sxy(y, x), %(day)s, true, now()
    from measured group by 2, 3, 4
"""
LOOK = """
    insert into looks
    select {}, experiment_id, metric_name, variant_id, verdict, p_value, srm
    from ({}) as readouts inner join analytics.experiment_health using (experiment_id)
"""
SHARES = """
    with lives as (
        select
            split_part(experiment_id, ' #', 1) as played, metric_name,
            min(day - %(first)s + 1) filter (where verdict in ('better', 'worse')) as decided,
            bool_or(verdict = 'better' and variant_id = left(experiment_id, 1)) as won,
            bool_or(p_value < 0.05) as fixed
        from looks group by 1, 2, experiment_id
    )
    select
        played, metric_name, round(100.0 * count(decided) / count(*), 1),
        round(100.0 * count(*) filter (where won) / count(*), 1),
        percentile_disc(0.5) within group (order by decided),
        round(100.0 * count(*) filter (where fixed) / count(*), 1)
    from lives group by 1, 2 order by 1, 2
"""
ALARMS = """
    select
        count(*) filter (where srm = 'mismatch') / cast(count(*) as float),
        count(distinct experiment_id) filter (where srm = 'mismatch')
            / cast(count(distinct experiment_id) as float)
    from looks
"""


@click.command()
@click.option("--experiments", default=2000, show_default=True, help="A/A; a quarter have a lift.")
@click.option("--days", default=30, show_default=True)
@click.option("--users", default=30, show_default=True, help="A day and variant.")
def main(experiments: int, days: int, users: int) -> None:
    """Draw the users of each day, then read every verdict, with the SQL of the models."""
    given = os.environ.get("BENCH_DATABASE_URL")
    with nullcontext(given) if given else embedded.server("bench") as server:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute("drop database if exists bench_peeking with (force)")
            admin.execute("create database bench_peeking")
        url = make_conninfo(server, dbname="bench_peeking")
        with psycopg.connect(url, autocommit=True) as conn:
            create_source_tables(conn, "public")
            (run,) = runner.run_jobs(url, Window(datetime.now(UTC), 1), ("experiment",))
            if not run.ok:
                raise SystemExit(1)
            # This cursor takes several statements with parameters.
            psycopg.ClientCursor(conn).execute(PLAYS, {"count": experiments})
            _look_daily(conn, days, users)
            shares = conn.execute(SHARES, {"first": FIRST}).fetchall()
            ((each, ever),) = conn.execute(ALARMS).fetchall()
    header = ("experiments", "metric", "decided %", "won %", "median day", "fixed p < 0.05 %")
    click.echo(table(header, [tuple(map(str, row)) for row in shares]))
    click.echo(f"False SRM alarms: {each:.3%} of looks, {ever:.2%} of experiments ever.")


def _look_daily(conn: psycopg.Connection, days: int, users: int) -> None:
    command = ["compile", "--select", "experiment", *runner.QUIET]
    compiled = runner.dbt(command, dbt_environment(conn)).result.results
    models = {done.node.name: sql.SQL(done.node.compiled_code) for done in compiled}

    def rewrite(name: str) -> None:
        place = sql.Identifier("analytics", name)
        conn.execute(sql.SQL("drop table {} cascade").format(place))
        conn.execute(sql.SQL("create table {} as {}").format(place, models[name]))

    # The planner does not expect thousands of experiments.
    conn.execute("set enable_nestloop = off; set jit = off; set work_mem = '64MB'")
    rewrite("experiment_catalog")
    for day in (FIRST + timedelta(days=number) for number in range(days)):
        conn.execute(DRAW, {"day": day, "users": users})
        conn.execute("analyze")
        rewrite("experiment_health")
        conn.execute(sql.SQL(LOOK).format(day, models["experiment_readouts"]))


if __name__ == "__main__":
    main()
