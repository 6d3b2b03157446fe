with user_days as (

    select * from {{ ref('stg_user_days') }}

),

active_users as (

    select
        anonymous_user_id,
        min(first_at) as first_seen,
        cast(sum(event_count) as bigint) as event_count
    from user_days
    group by 1

),

new_users as (

    select *
    from active_users
    -- Scalar subqueries are probed once per user. As `not exists` they could be planned as
    -- joins, and those may read the whole history. The first two spare most users the third:
    where
        -- whichever event the index holds first is the oldest for nearly everybody,
        (
            select {{ is_before_window('history.occurred_at') }}
            from {{ source('app', 'event_logs') }} as history
            where history.anonymous_user_id = active_users.anonymous_user_id
            limit 1
        ) is not true
        and (
            -- and whoever has no more events than the window holds needs no look at them.
            (
                select 1
                from {{ source('app', 'event_logs') }} as history
                where history.anonymous_user_id = active_users.anonymous_user_id
                limit 1 offset active_users.event_count
            ) is null
            or (
                select 1
                from {{ source('app', 'event_logs') }} as history
                where
                    -- As a range, or the order would be dropped: a source that keeps its
                    -- expired events holds them first, so the index is read from its end.
                    history.anonymous_user_id >= active_users.anonymous_user_id
                    and history.anonymous_user_id <= active_users.anonymous_user_id
                    and {{ is_before_window('history.occurred_at') }}
                order by history.anonymous_user_id desc
                limit 1
            ) is null
        )

),

horizons as (

    select
        *,
        first_seen + interval '24 hours' as day_later,
        first_seen + interval '168 hours' as week_later
    from new_users

),

first_week as (

    select
        horizons.anonymous_user_id,
        {{ utc_day('horizons.first_seen') }} as day,
        coalesce(min(user_days.first_submission_at) <= horizons.day_later, false) as is_logged_24h,
        -- A day's first or last event is enough to tell whether any event of that day falls
        -- after first_seen and within 24 hours of it, since that span crosses one midnight.
        bool_or(
            (user_days.first_at > horizons.first_seen and user_days.first_at <= horizons.day_later)
            or (user_days.last_at > horizons.first_seen and user_days.last_at <= horizons.day_later)
        ) as is_active_d1,
        sum(
            case
                when user_days.last_submission_at <= horizons.week_later then user_days.submissions
                when user_days.first_submission_at <= horizons.week_later
                    then (
                        -- Only the week's last, partial day has to be counted event by event.
                        select count(*)
                        from {{ source('app', 'event_logs') }} as events
                        where
                            events.anonymous_user_id = horizons.anonymous_user_id
                            and cast(events.event_name as text) = 'session_submitted'
                            and events.occurred_at >= user_days.first_submission_at
                            and events.occurred_at <= horizons.week_later
                    )
                else 0
            end
        ) as sessions_submitted_d7
    from horizons
    inner join user_days on user_days.anonymous_user_id = horizons.anonymous_user_id
    group by horizons.anonymous_user_id, horizons.first_seen, horizons.day_later

)

select * from first_week
