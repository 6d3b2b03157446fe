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

insert into experiment_readouts (
    experiment_id, metric_name, variant_id, control_variant_id, measure, delay_hours, window_hours,
    desired, role, users, control_users, value, control_value, difference, difference_low,
    difference_high, p_value, lift, lift_low, lift_high, lift_always_low, lift_always_high,
    p_always, cuped_lift, cuped_lift_low, cuped_lift_high, variance_reduction, p_holm,
    chance_to_win, mde, users_to_detect, first_day, last_day, cohort_days, status, verdict,
    computed_at
)
select
    'exp_' || n, 'metric_' || m, variant_id, 'A', 'any', 0, 24, 'increase', 'goal', 5000, 5000,
    random(), random(), random(), random(), random(), random(), random(), random(), random(),
    random(), random(), random(), random(), random(), random(), random(), random(), random(),
    random(), 1000, current_date - 89, current_date - 1, 89, 'ok', 'no_difference_yet', now()
from
    generate_series(1, 20) as n,
    generate_series(1, 8) as m,
    unnest(array['B', 'C']) as variant_id;

insert into experiment_health (
    experiment_id, control_variant_id, users, variants, srm_chi2, srm_df, srm_p, srm,
    crossover_users, crossover_share, crossover, pre_difference_p, pre_difference, covers_from,
    is_complete, computed_at
)
select
    'exp_' || n, 'A', 15000,
    (
        select jsonb_agg(jsonb_build_object(
            'variant_id', v, 'users', 5000, 'crossover_users', 0, 'weight', 0.33,
            'expected_share', 1 / 3.0, 'share', 1 / 3.0
        ))
        from unnest(array['A', 'B', 'C']) as v
    ),
    0, 2, 1, 'ok', 0, 0, 'ok', random(), 'ok', current_date - 89, true, now()
from generate_series(1, 20) as n;

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
