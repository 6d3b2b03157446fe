-- A user has one first value of each dimension, so their users add up to all users of the cell.
with rollups as (

    select * from {{ latest_rows(ref('retention_rollups'), 'period_start') }} as rollups

),

dimensions as (

    select
        period,
        cohort_start,
        period_number,
        split_part(dimension_key, '=', 1) as dimension,
        sum(users_count) as users_count
    from rollups
    where dimension_key <> 'overall'
    group by 1, 2, 3, 4

),

compared as (

    select
        dimensions.*,
        overall.users_count as overall_users
    from dimensions
    left join rollups as overall
        on
            overall.period = dimensions.period
            and overall.cohort_start = dimensions.cohort_start
            and overall.period_number = dimensions.period_number
            and overall.dimension_key = 'overall'

)

select * from compared where users_count is distinct from overall_users
