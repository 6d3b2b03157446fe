-- Nobody reaches a step without the one before. An entry has one value of each dimension, so their
-- users add up to all users of the step.
with rollups as (

    select * from {{ latest_rows(ref('funnel_conversion_rollups')) }} as rollups

),

dimensions as (

    select
        day,
        funnel_name,
        step,
        split_part(dimension_key, '=', 1) as dimension,
        sum(users_count) as users_count
    from rollups
    where position(':' in dimension_key) = 0 and position('=' in dimension_key) > 0
    group by 1, 2, 3, 4

),

compared as (

    select
        rollups.*,
        before.users_count as users_before,
        dimensions.users_count as users_of_dimension
    from rollups
    left join rollups as before
        on
            before.day = rollups.day
            and before.funnel_name = rollups.funnel_name
            and before.dimension_key = rollups.dimension_key
            and before.step = rollups.step - 1
    left join dimensions
        on
            dimensions.day = rollups.day
            and dimensions.funnel_name = rollups.funnel_name
            and dimensions.step = rollups.step
            and rollups.dimension_key = 'overall'

)

select * from compared
where
    (step > 1 and users_count > coalesce(users_before, 0))
    or users_count <> users_of_dimension
