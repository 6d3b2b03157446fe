with days as (

    {{ window_spine() }}

),

steps as (

    select * from {{ ref('int_funnel_steps') }}

),

funnel_steps as (

    select distinct
        funnel_id,
        funnel_name,
        step,
        step_name,
        conversion_window
    from steps

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
    {{ computed_once('having') }}

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
    {{ computed_once('where') }}
    window journey as (
        partition by entrant_id order by occurred_at, step rows unbounded preceding
    )

),

-- Of events of one step in a row, the first decides.
{%- set steps = funnel_limits()['steps'] %}
reached_2 as (

    select
        entrant_id,
        step,
        occurred_at,
        latest_entry
    from numbered
    where step > 1 and step is distinct from previous_step

),

{%- for step in range(3, steps + 1) %}

    reached_{{ step }} as (

        select
            entrant_id,
            step,
            occurred_at,
            case
                when step = {{ step }}
                    then max(latest_entry) filter (where step = {{ step - 1 }}) over journey
                else latest_entry
            end as latest_entry
        from reached_{{ step - 1 }}
        window journey as (
            partition by entrant_id order by occurred_at, step rows unbounded preceding
        )

    ),
{%- endfor %}

first_times as (

    select
        entrant_id,
        step,
        latest_entry,
        min(occurred_at) as occurred_at
    from reached_{{ [steps, 2] | max }}
    where latest_entry > 0
    group by 1, 2, 3

),

spans as (

    select
        entrant_id,
        step,
        occurred_at,
        latest_entry,
        lag(latest_entry, 1, 0) over (
            partition by entrant_id, step order by latest_entry
        ) as previous_entry
    from first_times

),

reached as (

    select
        entry_id,
        1 as step,
        {{ cast_as('0', 'double precision') }} as seconds
    from entries
    union all
    select
        numbered.entry_id,
        spans.step,
        {{ seconds_between('numbered.occurred_at', 'spans.occurred_at') }} as seconds
    from numbered
    inner join entries on entries.entry_id = numbered.entry_id
    inner join spans
        on
            spans.entrant_id = numbered.entrant_id
            and spans.previous_entry < numbered.latest_entry
            and spans.latest_entry >= numbered.latest_entry
    where spans.occurred_at <= numbered.occurred_at + entries.conversion_window

),

maps as (

    select
        experiment_map,
        {{ row_id(['experiment_map']) }} as map_id
    from entries
    where experiment_map is not null
    group by 1

),

-- Materialized, so that each map is taken apart once, not for each entry.
map_keys as {{ materialized() }} (

    select
        maps.map_id,
        {{ variant_key('variant.experiment_id', 'variant.variant_id') }} as dimension_key
    from maps
    cross join lateral {{ json_pairs(
        'maps.experiment_map', 'variant', 'experiment_id', 'variant_id'
    ) }}

),

entry_keys as (

    select
        entry_id,
        funnel_id,
        day,
        'overall' as dimension_key
    from entries
    union all
    select
        entries.entry_id,
        entries.funnel_id,
        entries.day,
        map_keys.dimension_key
    from entries
    inner join maps on maps.experiment_map = entries.experiment_map
    inner join map_keys on map_keys.map_id = maps.map_id
    union all
    select * from {{ with_dimension_keys('entries', ['entry_id', 'funnel_id', 'day']) }} as keyed
    {{ computed_once('where') }}

),

-- The medians need a sort, which is faster by one number.
cells as (

    select
        funnel_id,
        day,
        dimension_key,
        {{ row_id(['funnel_id', 'day', 'dimension_key'], 'integer') }} as cell_id
    from entry_keys
    group by 1, 2, 3

),

entry_cells as (

    select
        entry_keys.entry_id,
        cells.cell_id
    from entry_keys
    inner join cells
        on
            cells.funnel_id = entry_keys.funnel_id
            and cells.day = entry_keys.day
            and cells.dimension_key = entry_keys.dimension_key

),

medians as (

    select
        entry_cells.cell_id,
        reached.step,
        count(*) as users_count,
        {{ median_of('reached.seconds') }} as median_seconds
    from reached
    inner join entry_cells on entry_cells.entry_id = reached.entry_id
    group by 1, 2

),

counted as (

    select
        cells.funnel_id,
        cells.day,
        cells.dimension_key,
        medians.step,
        medians.users_count,
        medians.median_seconds
    from medians
    inner join cells on cells.cell_id = medians.cell_id

),

conversions as (

    select
        days.day,
        funnel_steps.funnel_name,
        funnel_steps.step,
        funnel_steps.step_name,
        coalesce(counted.dimension_key, 'overall') as dimension_key,
        coalesce(counted.users_count, 0) as users_count,
        counted.median_seconds,
        {{ end_of_day('days.day') }}
        + funnel_steps.conversion_window as matures_at
    from days
    cross join funnel_steps
    left join counted
        on
            counted.day = days.day
            and counted.funnel_id = funnel_steps.funnel_id
            and counted.step = funnel_steps.step

),

final as (

    select
        day,
        funnel_name,
        step,
        step_name,
        dimension_key,
        cast(users_count as integer) as users_count,
        median_seconds,
        matures_at,
        matures_at <= {{ utc_literal(as_of()) }} as is_final,
        current_timestamp as computed_at
    from conversions

)

select * from final
