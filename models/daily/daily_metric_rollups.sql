with days as (

    {{ window_spine() }}

),

user_days as (

    select * from {{ ref('int_user_days') }}

),

new_users as (

    select * from {{ ref('int_new_users') }}

),

event_counts as (

    select * from {{ ref('int_event_counts') }}

),

active_users as (

    select
        day,
        count(*) as user_count
    from user_days
    group by 1

),

cohorts as (

    select
        day,
        count(*) as cohort_size,
        count(*) filter (where is_logged_24h) as converted_users
    from new_users
    group by 1

),

submissions as (

    select
        day,
        sum(event_count) as event_count
    from event_counts
    where {{ is_key_event('event_name') }}
    group by 1

),

lags as (

    select
        day,
        unnest(lags) as lag_seconds
    from event_counts

),

lag_percentiles as (

    select
        day,
        percentile_cont(array[0.5, 0.95]) within group (order by lag_seconds) as percentiles
    from lags
    group by 1

),

daily as (

    select
        days.day,
        coalesce(active_users.user_count, 0) as dau,
        coalesce(cohorts.cohort_size, 0) as cohort_size,
        coalesce(cohorts.converted_users, 0) as converted_users,
        coalesce(submissions.event_count, 0) as sessions_submitted,
        lag_percentiles.percentiles
    from days
    left join active_users on active_users.day = days.day
    left join cohorts on cohorts.day = days.day
    left join submissions on submissions.day = days.day
    left join lag_percentiles on lag_percentiles.day = days.day

),

overall as (

    select
        daily.day,
        metric.metric_name,
        'overall' as dimension_key,
        metric.value,
        metric.dimensions,
        metric.horizon_days
    from daily
    cross join lateral (
        values
        ('dau', cast(dau as double precision), cast(null as jsonb), 0),
        ('new_users', cohort_size, null, 0),
        ('sessions_submitted', sessions_submitted, null, 0),
        (
            'logging_rate_24h',
            {{ rate('converted_users', 'cohort_size') }},
            jsonb_build_object('cohort_size', cohort_size, 'converted_users', converted_users),
            1
        ),
        ('ingestion_lag_p50', coalesce(percentiles[1], 0), '{"unit": "seconds"}', 0),
        ('ingestion_lag_p95', coalesce(percentiles[2], 0), '{"unit": "seconds"}', 0)
    ) as metric (metric_name, value, dimensions, horizon_days)

),

by_name as (

    select
        event_counts.day,
        'event_volume_by_name' as metric_name,
        {{ dimension_key('event_counts.event_name') }} as dimension_key,
        event_counts.event_count as value,
        jsonb_build_object(
            'event_name', event_counts.event_name,
            'day', to_char(event_counts.day, 'YYYY-MM-DD')
        ) as dimensions,
        0 as horizon_days
    from event_counts
    inner join days on days.day = event_counts.day
    where event_counts.event_name is not null

),

{%- set own_metrics = own_daily_metrics() %}

rollups as (

    select * from overall
    union all
    select * from by_name
    {%- if own_metrics | trim %}
    union all
    select
        day,
        metric_name,
        'overall' as dimension_key,
        cast(value as double precision) as value,
        dimensions,
        horizon_days
    from ({{ own_metrics }}) as own_metrics
    where {{ is_in_days('day') }}
    {%- endif %}

),

final as (

    select
        day,
        metric_name,
        dimension_key,
        value,
        dimensions,
        {{ is_final('day', 'horizon_days') }} as is_final,
        current_timestamp as computed_at
    from rollups

)

select * from final
