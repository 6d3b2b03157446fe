with steps as (

    select * from {{ ref('int_funnel_steps') }}

),

events as (

    select * from {{ events() }} as events

),

step_users as (

    select
        {{ day_of('events.occurred_at') }} as day,
        steps.step_id,
        events.anonymous_user_id,
        events.experiment_map,
        count(*) as event_count
    from events
    inner join steps on steps.event_name = events.event_name
    group by 1, 2, 3, 4
    {{ computed_once('having') }}

)

select * from step_users
