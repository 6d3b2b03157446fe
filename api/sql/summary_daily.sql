with rollups as (

    select
        day,
        metric_name,
        value,
        is_final,
        -- Horizons differ, and so do the latest final days.
        day = max(day) over (partition by case when %(complete)s then metric_name end) as is_latest
    from {{ analytics }}.daily_metric_rollups
    where
        {{ windowed() }}
        and dimension_key = 'overall'

),

latest as (

    select * from rollups
    where is_latest

),

metrics as (

    select
        1 as place,
        metric_name,
        value,
        row_to_json(dimensions) as dimensions,
        is_final
    from latest
    cross join lateral (select true as overall, day, %(window_days)s as window_days) as dimensions
    where metric_name = 'logging_rate_24h'
    union all
    select
        2,
        metric_name,
        value,
        row_to_json(dimensions),
        is_final
    from latest
    cross join lateral (select day) as dimensions
    where metric_name = 'dau'
    union all
    select
        3,
        'sessions_submitted_total',
        sum(value),
        json_build_object('window_days', %(window_days)s),
        bool_and(is_final)
    from rollups
    where metric_name = 'sessions_submitted'
    having count(*) > 0
    union all
    select
        4,
        metric_name,
        value,
        row_to_json(dimensions),
        is_final
    from latest
    cross join lateral (select day, 'seconds' as unit) as dimensions
    where metric_name in ('ingestion_lag_p50', 'ingestion_lag_p95')

)

select
    cast(row_to_json(item) as text) as item,
    true as has_data
from metrics
cross join lateral (
    select
        metrics.metric_name,
        {{ js_number("metrics.value") }} as value,
        metrics.dimensions,
        metrics.is_final
) as item
order by metrics.place, metrics.metric_name collate "C"
