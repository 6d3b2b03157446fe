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

    {{ lags_of('event_counts') }}

),

lag_percentiles as (

    select
        day,
        {{ percentiles_of('lag_seconds', [0.5, 0.95]) }} as percentiles
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

{%- set seconds = "'" ~ '{"unit": "seconds"}' ~ "'" %}

overall as (

    select
        daily.day,
        metric.metric_name,
        'overall' as dimension_key,
        metric.value,
        metric.dimensions,
        metric.horizon_days
    from daily
    cross join lateral {{ value_rows('metric', {
        'metric_name': 'text', 'value': 'double precision', 'dimensions': 'jsonb',
        'horizon_days': 'integer'
    }, [
        ["'dau'", cast_as('dau', 'double precision'), cast_as('null', 'jsonb'), 0],
        ["'new_users'", 'cohort_size', 'null', 0],
        ["'sessions_submitted'", 'sessions_submitted', 'null', 0],
        [
            "'logging_rate_24h'",
            rate('converted_users', 'cohort_size'),
            json_object({'cohort_size': 'cohort_size', 'converted_users': 'converted_users'}),
            1
        ],
        ["'ingestion_lag_p50'", 'coalesce(' ~ percentile_of('percentiles', 0) ~ ', 0)', seconds, 0],
        ["'ingestion_lag_p95'", 'coalesce(' ~ percentile_of('percentiles', 1) ~ ', 0)', seconds, 0]
    ]) }}

),

by_name as (

    select
        event_counts.day,
        'event_volume_by_name' as metric_name,
        {{ dimension_key('event_counts.event_name') }} as dimension_key,
        event_counts.event_count as value,
        {{ json_object({
            'event_name': 'event_counts.event_name', 'day': day_text('event_counts.day')
        }) }} as dimensions,
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
        {{ cast_as('value', 'double precision') }} as value,
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
