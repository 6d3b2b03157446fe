-- Rollups of the 90 days up to today, in tables that a run has created.
set search_path to analytics;

insert into daily_metric_rollups
select day, name, 'overall', 1000 * random(), null, true, now()
from
    generate_series(current_date - 89, current_date, '1 day') as day,
    unnest(array[
        'dau', 'new_users', 'sessions_submitted', 'logging_rate_24h', 'ingestion_lag_p50',
        'ingestion_lag_p95'
    ]) as name
union all
select
    day, 'event_volume_by_name', 'event_' || n, floor(1000 * random()),
    jsonb_build_object('event_name', 'event_' || n, 'day', to_char(cast(day as timestamp), 'YYYY-MM-DD')), true, now()
from
    generate_series(current_date - 89, current_date, '1 day') as day,
    generate_series(1, 200) as n
on conflict do nothing;

insert into experiment_catalog (experiment_id, status, start_at, targeting, variants, computed_at)
select
    'exp_' || n, 'RUNNING', now(), '{"platform": ["ios", "android"]}',
    (
        select jsonb_agg(jsonb_build_object(
            'variant_id', v, 'variant_name', v, 'weight', 0.33, 'is_control', v = 'A'
        ))
        from unnest(array['A', 'B', 'C']) as v
    ),
    now()
from generate_series(1, 20) as n;

insert into experiment_metric_rollups
select
    day, 'exp_' || n, variant_id, metric_name, random(),
    jsonb_build_object('day', to_char(cast(day as timestamp), 'YYYY-MM-DD'), 'cohort_size', 40)
    || case metric_name
        when 'logging_rate_24h_by_variant' then '{"converted_users": 12}' else '{}'
    end::jsonb,
    true, now()
from
    generate_series(current_date - 89, current_date, '1 day') as day,
    generate_series(1, 20) as n,
    unnest(array['A', 'B', 'C']) as variant_id,
    unnest(array[
        'users_assigned', 'users_active_d1', 'sessions_submitted_d7', 'logging_rate_24h_by_variant'
    ]) as metric_name;

insert into funnel_rollups
select day, 'core_journey', step_name, dimension, e, v, 100, 300, true, now()
from
    generate_series(current_date - 89, current_date, '1 day') as day,
    (select distinct step_name from funnel_steps) as step,
    (
        select 'overall' as dimension, null as e, null as v
        union all
        select 'exp_' || n || ':' || v, 'exp_' || n, v
        from generate_series(1, 20) as n, unnest(array['A', 'B', 'C']) as v
    ) as variant
on conflict do nothing;

vacuum analyze;
