-- What two rows of a day tell about the same users or events is the same.
with rollups as (

    select * from {{ latest_rows(ref('daily_metric_rollups')) }} as rollups

),

days as (

    select
        day,
        max(value) filter (where metric_name = 'dau') as dau,
        max(value) filter (where metric_name = 'new_users') as new_users,
        max(value) filter (where metric_name = 'sessions_submitted') as sessions_submitted,
        coalesce(sum(value) filter (
            where
            metric_name = 'event_volume_by_name'
            and {{ is_key_event(json_text('dimensions', 'event_name')) }}
        ), 0) as session_volume,
        max(value) filter (where metric_name = 'logging_rate_24h') as logging_rate,
        max(cast({{ json_text('dimensions', 'cohort_size') }} as integer)) as cohort_size,
        max(cast({{ json_text('dimensions', 'converted_users') }} as integer)) as converted_users,
        max(value) filter (where metric_name = 'ingestion_lag_p50') as lag_p50,
        max(value) filter (where metric_name = 'ingestion_lag_p95') as lag_p95
    from rollups
    group by 1

)

select * from days
where
    sessions_submitted <> session_volume
    or new_users > dau
    or new_users <> cohort_size
    or converted_users > cohort_size
    or logging_rate <> {{ rate('converted_users', 'cohort_size') }}
    or lag_p50 > lag_p95
