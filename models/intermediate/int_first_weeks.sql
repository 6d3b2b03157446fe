with new_users as (

    select * from {{ ref('int_new_users') }}

),

events as (

    select * from {{ events() }} as events

),

first_weeks as (

    select
        new_users.anonymous_user_id,
        new_users.day,
        new_users.is_logged_24h,
        bool_or(
            events.occurred_at > new_users.first_seen
            and events.occurred_at <= new_users.first_seen + interval '24 hours'
        ) as is_active_d1,
        count(*) filter (
            where
            {{ is_key_event('events.event_name') }}
            and events.occurred_at <= new_users.first_seen + interval '168 hours'
        ) as sessions_submitted_d7
    from new_users
    inner join events on events.anonymous_user_id = new_users.anonymous_user_id
    group by 1, 2, 3

)

select * from first_weeks
