with events as (

    select * from {{ events() }} as events

),

user_days as (

    select
        anonymous_user_id,
        {{ day_of('occurred_at') }} as day,
        min(occurred_at) as first_at,
        min(occurred_at) filter (where {{ is_key_event('event_name') }}) as first_submission_at
    from events
    where anonymous_user_id is not null
    group by 1, 2
    {{ computed_once('having') }}

)

select * from user_days
