with events as (

    select * from {{ events(with_dimensions=true) }} as events

),

user_days as (

    select
        anonymous_user_id,
        {{ day_of('occurred_at') }} as day,
        min(occurred_at) as first_at,
        min(occurred_at) filter (where {{ is_key_event('event_name') }}) as first_submission_at,
        count(*) filter (where {{ is_key_event('event_name') }}) as submission_count
        {{- each_dimension() }}
    from events
    group by anonymous_user_id, {{ day_of('occurred_at') }} {{- each_dimension() }}
    {{ computed_once('having') }}

),

-- The values of the first event, or of several at that moment the first in order.
new_users as (

    select
        new_users.anonymous_user_id,
        new_users.day,
        new_users.is_logged_24h
        {{- each_dimension('min(first_days.{})') }}
    from {{ new_users('user_days') }} as new_users
    inner join user_days as first_days
        on
            first_days.anonymous_user_id = new_users.anonymous_user_id
            and first_days.first_at = new_users.first_seen
    where {{ is_in_days('new_users.day') }}
    group by 1, 2, 3

),

activity as (

    select
        anonymous_user_id,
        day,
        submission_count,
        cast(null as boolean) as is_logged_24h
        {{- each_dimension() }}
    from user_days
    where {{ is_in_days('day') }}
    union all
    select
        anonymous_user_id,
        day,
        0 as submission_count,
        is_logged_24h
        {{- each_dimension() }}
    from new_users
    {{ computed_once('where') }}

),

-- A user of two platforms counts in both, and is new in the first.
user_keys as (

    select
        keyed.anonymous_user_id,
        keyed.day,
        keyed.dimension_key,
        sum(keyed.submission_count) as submission_count,
        bool_or(keyed.is_logged_24h) as is_logged_24h
    from {{ with_dimension_keys(
        'activity', ['anonymous_user_id', 'day', 'submission_count', 'is_logged_24h']
    ) }} as keyed
    group by 1, 2, 3

),

daily as (

    select
        day,
        dimension_key,
        count(anonymous_user_id) as dau,
        {{ cast_as('sum(submission_count)', 'double precision') }} as sessions_submitted,
        count(is_logged_24h) as cohort_size,
        count(*) filter (where is_logged_24h) as converted_users
    from user_keys
    group by 1, 2

),

final as (

    select
        daily.day,
        metric.metric_name,
        daily.dimension_key,
        metric.value,
        metric.dimensions,
        {{ is_final('daily.day', 'metric.horizon_days') }} as is_final,
        current_timestamp as computed_at
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
        ]
    ]) }}

)

select * from final
