"""Play experiments that someone looks at every day: `python -m bench.peeking`."""

import os
import statistics
from collections import defaultdict
from contextlib import closing, nullcontext

import click
import psycopg
from psycopg import sql

from dbt_project import embedded, runner
from dbt_project.database import connect, dbt_environment
from dbt_project.report import table
from dbt_project.source import create_source_tables

NAME = "bench_peeking"
LIFTS = {"none": 1.0, "+20 %": 1.2}  # of the last variant
MODELS = ("experiment_readouts", "experiment_health")
EXPERIMENTS = """
    insert into experiments (experiment_id, status, start_at)
    select format('%%s variants, lift %%s, %%s', arms, lift, number), 'RUNNING', '2026-10-01'
    from unnest(%(lifts)s::text[]) as lift, generate_series(2, 3) as arms,
        generate_series(1, %(experiments)s) as number;
"""
VARIANTS = """
    insert into experiment_variants (id, experiment_id, variant_id, is_control, weight)
    select experiment_id || arm, experiment_id, arm, arm = 1, 1
    from experiments, generate_series(1, cast(left(experiment_id, 1) as int)) as arm;
"""
# A user's values: 1 with a chance of 30 %, or a geometric count with mean 1.5; before the exposure
# the same without any lift.
DRAWN = """
    create table drawn as
    with users as materialized (
        select experiment_id, day, metric_name, measure, arm,
            case when arm = arms then factor else 1 end as factor
        from (
            select experiment_id, day, factor, arms, 1 + floor(arms * random())::int as arm
            from (
                select experiment_id, cast(left(experiment_id, 1) as int) as arms,
                    case when experiment_id like %(lifted)s then %(factor)s else 1 end as factor
                from experiments
            ) as played,
                generate_series(date '2026-10-01', date '2026-09-30' + %(days)s, '1 day') as day,
                generate_series(1, %(users)s * arms)
            offset 0
        ) as exposed, analytics.experiment_metrics
    ),
    measured as (
        select *,
            case measure when 'any' then cast(random() < 0.3 * factor as int)
            else floor(ln(1 - random()) / ln(1.5 * factor / (1 + 1.5 * factor))) end as value,
            case measure when 'any' then cast(random() < 0.3 as int)
            else floor(ln(1 - random()) / ln(0.6)) end as pre_value
        from users
    )
    select cast(day as date) as day, experiment_id, cast(arm as text) as variant_id, metric_name,
        count(*) as users, avg(value) as mean, regr_sxx(value, value) as m2,
        avg(pre_value) as pre_mean, regr_sxx(pre_value, pre_value) as pre_m2,
        regr_sxy(value, pre_value) as pre_comoment
    from measured group by 1, 2, 3, 4
"""
