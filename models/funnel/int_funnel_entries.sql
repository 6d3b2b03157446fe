with steps as (

    select * from {{ ref('int_funnel_steps') }}

),

step_1_events as (

    select
        steps.funnel_id,
        steps.conversion_window,
        events.anonymous_user_id,
        {{ day_of('events.occurred_at') }} as day,
        nullif(events.experiment_map, 'null') as experiment_map,
        min(events.occurred_at) as occurred_at
        {{- each_dimension() }}
    from {{ events(until=window_end(), with_dimensions=true) }} as events
    inner join steps on steps.event_name = events.event_name and steps.step = 1
    where
        {{ is_in_days(day_of('events.occurred_at')) }}
        and events.anonymous_user_id is not null
    group by 1, 2, 3, 4, 5 {{- each_dimension() }}
    {{ computed_once('having') }}

),

first_of_days as (

    select
        funnel_id,
        anonymous_user_id,
        day,
        min(occurred_at) as entered_at
    from step_1_events
    group by 1, 2, 3

),

-- Of several events at the moment of the entry, the values that are first in order count.
entries as (

    select
        first_of_days.funnel_id,
        first_of_days.anonymous_user_id,
        first_of_days.day,
        first_of_days.entered_at,
        events.conversion_window,
        min(events.experiment_map) as experiment_map,
        {{ row_id([
            'first_of_days.funnel_id', 'first_of_days.anonymous_user_id', 'first_of_days.day'
        ]) }} as entry_id
        {{- each_dimension('min(events.{})') }}
    from first_of_days
    inner join step_1_events as events
        on
            events.funnel_id = first_of_days.funnel_id
            and events.anonymous_user_id = first_of_days.anonymous_user_id
            and events.occurred_at = first_of_days.entered_at
    group by 1, 2, 3, 4, 5

)

select * from entries
