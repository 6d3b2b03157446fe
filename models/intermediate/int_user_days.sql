with events as (

    select * from {{ events() }} as events

),

user_days as (

    select
        anonymous_user_id,
        cast(occurred_at as date) as day,
        min(occurred_at) as first_at,
        min(occurred_at) filter (where event_name = 'session_submitted') as first_submission_at
    from events
    where anonymous_user_id is not null
    group by 1, 2

)

select * from user_days
