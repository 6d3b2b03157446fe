with steps as (

    select * from {{ ref('stg_funnel_steps') }}

),

step_users as (

    select
        {{ utc_midnight('events.occurred_at') }} as midnight,
        steps.step_id,
        events.anonymous_user_id,
        -- Text is quicker to compare, and keeps apart 1.0 and 1.00, which name two variants.
        coalesce(cast(events.experiment_map as text), 'null') as experiment_map,
        count(*) as event_count
    from {{ source('app', 'event_logs') }} as events
    inner join steps on steps.event_name = cast(events.event_name as text)
    where {{ valid_in_window('events.occurred_at') }}
    group by 1, 2, 3, 4

)

select * from step_users
