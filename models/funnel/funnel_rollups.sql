with days as (

    {{ window_spine() }}

),

steps as (

    select distinct
        step_id,
        funnel_name,
        step_name
    from {{ ref('int_funnel_steps') }}

),

step_users as (

    select * from {{ ref('int_step_users') }}

),

step_maps as (

    select
        day,
        step_id,
        experiment_map,
        count(anonymous_user_id) as user_count,
        sum(event_count) as event_count
    from step_users
    group by 1, 2, 3

),

-- A map may be long and have thousands of pairs, so it gets a number before the join with them.
numbered as (

    select
        *,
        {{ value_id('experiment_map') }} as map_id
    from step_maps

),

maps as (

    select
        map_id,
        experiment_map
    from numbered
    group by 1, 2

),

map_variants as (

    select
        maps.map_id,
        variant.experiment_id,
        variant.variant_id
    from maps
    cross join lateral {{ json_pairs(
        'maps.experiment_map', 'variant', 'experiment_id', 'variant_id'
    ) }}

),

-- Pair 0 stands for all users.
pairs as (

    select
        experiment_id,
        variant_id,
        {{ row_place(['experiment_id', 'variant_id']) }} as pair_id
    from map_variants
    group by 1, 2

),

map_pairs as (

    select
        map_variants.map_id,
        pairs.pair_id
    from map_variants
    inner join pairs
        on
            pairs.experiment_id = map_variants.experiment_id
            and pairs.variant_id = map_variants.variant_id
    union all
    select
        map_id,
        0 as pair_id
    from maps

),

totals as (

    select
        numbered.day,
        numbered.step_id,
        map_pairs.pair_id,
        sum(numbered.user_count) as user_count,
        sum(numbered.event_count) as event_count
    from numbered
    inner join map_pairs on map_pairs.map_id = numbered.map_id
    group by 1, 2, 3

),

-- `totals` counts a user whose map changed during the day once per map; `repeats` is the surplus to
-- subtract. Only the few users with more than one map in the window are checked.
changed_users as (

    select anonymous_user_id
    from step_users
    group by 1
    having min(experiment_map) <> max(experiment_map)

),

repeated_users as (

    select
        step_users.day,
        step_users.step_id,
        step_users.anonymous_user_id
    from step_users
    inner join changed_users on changed_users.anonymous_user_id = step_users.anonymous_user_id
    group by 1, 2, 3
    having count(*) > 1

),

-- The grouping makes the planner drop the maps' text before the join with the pairs.
repeated_maps as (

    select
        step_users.day,
        step_users.step_id,
        step_users.anonymous_user_id,
        maps.map_id
    from step_users
    inner join repeated_users
        on
            repeated_users.day = step_users.day
            and repeated_users.step_id = step_users.step_id
            and repeated_users.anonymous_user_id = step_users.anonymous_user_id
    inner join maps on maps.experiment_map = step_users.experiment_map
    group by 1, 2, 3, 4

),

repeats as (

    select
        repeated_maps.day,
        repeated_maps.step_id,
        map_pairs.pair_id,
        count(*) - count(distinct repeated_maps.anonymous_user_id) as user_count
    from repeated_maps
    inner join map_pairs on map_pairs.map_id = repeated_maps.map_id
    group by 1, 2, 3

),

counted as (

    select
        totals.day,
        totals.step_id,
        pairs.experiment_id,
        pairs.variant_id,
        totals.user_count - coalesce(repeats.user_count, 0) as users_count,
        totals.event_count as events_count
    from totals
    left join pairs on pairs.pair_id = totals.pair_id
    left join repeats
        on
            repeats.day = totals.day
            and repeats.step_id = totals.step_id
            and repeats.pair_id = totals.pair_id

),

funnels as (

    select
        days.day,
        steps.funnel_name,
        steps.step_name,
        counted.experiment_id,
        counted.variant_id,
        coalesce(counted.users_count, 0) as users_count,
        coalesce(counted.events_count, 0) as events_count
    from days
    cross join steps
    left join counted on counted.day = days.day and counted.step_id = steps.step_id

),

final as (

    select
        day,
        funnel_name,
        step_name,
        {{ variant_key('experiment_id', 'variant_id') }} as dimension_key,
        experiment_id,
        variant_id,
        cast(users_count as integer) as users_count,
        cast(events_count as integer) as events_count,
        {{ is_final('day') }} as is_final,
        current_timestamp as computed_at
    from funnels

)

select * from final
