with user_days as (

    select * from {{ ref('int_user_days') }}

),

active_users as (

    select
        anonymous_user_id,
        min(first_at) as first_seen,
        min(first_submission_at) as first_submission_at
    from user_days
    group by 1

),

new_users as (

    select
        anonymous_user_id,
        first_seen,
        cast(first_seen as date) as day,
        coalesce(
            first_submission_at <= first_seen + interval '24 hours', false
        ) as is_logged_24h
    from active_users
    where {{ is_new('active_users.anonymous_user_id') }}

)

select * from new_users
