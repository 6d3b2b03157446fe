with days as (

    {{ window_spine() }}

),

steps as (

    select distinct
        step_id,
        funnel_name,
        step_name
    from {{ ref('stg_funnel_steps') }}

),

step_users as (

    select * from {{ ref('stg_step_users') }}

),

step_maps as (

    select
        midnight,
        step_id,
        experiment_map,
        count(anonymous_user_id) as user_count,
        sum(event_count) as event_count
    from step_users
    group by 1, 2, 3

),

-- Few maps are distinct, so each is taken apart once instead of once per event.
map_dimensions as (

    select
        maps.experiment_map,
        dimension.experiment_id,
        dimension.variant_id
    from (select distinct experiment_map from step_maps) as maps
    cross join lateral (
        select
            cast(null as text) as experiment_id,
            cast(null as text) as variant_id
        union all
        {{ json_pairs(jsonb_of('maps.experiment_map')) }}
    ) as dimension (experiment_id, variant_id)

),

totals as (

    select
        step_maps.midnight,
        step_maps.step_id,
        map_dimensions.experiment_id,
        map_dimensions.variant_id,
        sum(step_maps.user_count) as user_count,
        sum(step_maps.event_count) as event_count
    from step_maps
    inner join map_dimensions on map_dimensions.experiment_map = step_maps.experiment_map
    group by 1, 2, 3, 4

),

-- A user whose map changed within the day was counted in each of the maps. Most users keep
-- theirs all through the window, and then none of their days has to be looked at.
changed_users as (

    select anonymous_user_id
    from (
        select distinct
            anonymous_user_id,
            experiment_map
        from step_users
    ) as user_maps
    group by 1
    having count(*) > 1

),

repeated_users as (

    select
        midnight,
        step_id,
        anonymous_user_id
    from step_users
    inner join changed_users using (anonymous_user_id)
    group by 1, 2, 3
    having count(*) > 1

),

repeats as (

    select
        midnight,
        step_id,
        experiment_id,
        variant_id,
        count(*) - count(distinct anonymous_user_id) as user_count
    from repeated_users
    inner join step_users using (midnight, step_id, anonymous_user_id)
    inner join map_dimensions using (experiment_map)
    group by 1, 2, 3, 4

),

counted as (

    select
        {{ utc_day('totals.midnight') }} as day,
        totals.step_id,
        totals.experiment_id,
        totals.variant_id,
        totals.user_count - coalesce(repeats.user_count, 0) as users_count,
        totals.event_count as events_count
    from totals
    left join repeats
        on
            repeats.midnight = totals.midnight
            and repeats.step_id = totals.step_id
            and repeats.experiment_id is not distinct from totals.experiment_id
            and repeats.variant_id is not distinct from totals.variant_id

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
