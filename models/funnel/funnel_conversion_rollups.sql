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

entries as {{ not_materialized() }} (

    select * from {{ working(ref('int_funnel_entries')) }}

),

-- Kept by PostgreSQL, unlike the entries: two CTEs read it, and its sort is the dearest part.
numbered as (

    select * from {{ working(ref('int_funnel_journeys')) }}

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
