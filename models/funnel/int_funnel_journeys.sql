with steps as (

    select * from {{ ref('int_funnel_steps') }}

),

entries as {{ not_materialized() }} (

    select * from {{ working(ref('int_funnel_entries')) }}

),

entrants as (

    select
        funnel_id,
        anonymous_user_id,
        min(entered_at) as first_entry,
        max(entered_at + conversion_window) as last_moment,
        {{ row_id(['funnel_id', 'anonymous_user_id']) }} as entrant_id
    from entries
    group by 1, 2

),

-- Each entrant's entries and events of later steps.
journeys as (

    select
        entrants.entrant_id,
        1 as step,
        entries.entered_at as occurred_at,
        entries.entry_id
    from entries
    inner join entrants
        on
            entrants.funnel_id = entries.funnel_id
            and entrants.anonymous_user_id = entries.anonymous_user_id
    union all
    select
        entrants.entrant_id,
        steps.step,
        events.occurred_at,
        null as entry_id
    from {{ events(until=conversions_until()) }} as events
    inner join steps on steps.event_name = events.event_name and steps.step > 1
    inner join entrants
        on
            entrants.funnel_id = steps.funnel_id
            and entrants.anonymous_user_id = events.anonymous_user_id
    where
        events.occurred_at >= entrants.first_entry
        and events.occurred_at <= entrants.last_moment

),

-- `latest_entry` is the number of the entrant's latest entry from which the row's step is reached
-- in order: at step n the greatest of the rows of step n - 1 until then. So each step takes one
-- look back along the same order, not a pass of its own. Events at one moment are in order.
numbered as (

    select
        entrant_id,
        step,
        occurred_at,
        entry_id,
        count(entry_id) over journey as latest_entry,
        {{ lag_in(
            'step', 'journey', 'partition by entrant_id order by occurred_at, step'
        ) }} as previous_step
    from journeys
    window journey as (
        partition by entrant_id order by occurred_at, step rows unbounded preceding
    )

)

select * from numbered
