with events as (

    select
        anonymous_user_id,
        cast(event_name as text) as event_name,
        occurred_at
    from {{ source('app', 'event_logs') }}
    where
        {{ valid_in_window('occurred_at') }}
        and anonymous_user_id is not null

),

user_days as (

    select
        anonymous_user_id,
        {{ utc_midnight('occurred_at') }} as midnight,
        count(*) as event_count,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        count(*) filter (where event_name = 'session_submitted') as submissions,
        min(occurred_at) filter (where event_name = 'session_submitted') as first_submission_at,
        max(occurred_at) filter (where event_name = 'session_submitted') as last_submission_at
    from events
    group by 1, 2

)

select * from user_days
