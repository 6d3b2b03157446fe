-- Days without events have them too: a run adds what is missing even where it may not rewrite.
with days as (

    {{ window_spine() }}

),

rollups as (

    select * from {{ ref('daily_metric_rollups') }}

),

counted as (

    select
        days.day,
        count(rollups.metric_name) as metric_count
    from days
    left join rollups
        on
            rollups.day = days.day
            and rollups.dimension_key = 'overall'
            and rollups.metric_name in (
                'dau', 'new_users', 'sessions_submitted', 'logging_rate_24h',
                'ingestion_lag_p50', 'ingestion_lag_p95'
            )
    group by 1

)

select * from counted where metric_count <> 6
