-- A submitted session has one value of each dimension, and a new user one first value, so they add
-- up to the same in each dimension.
with totals as (

    select
        day,
        metric_name,
        split_part(dimension_key, '=', 1) as dimension,
        sum(value) as total
    from {{ latest_rows(ref('daily_dimension_rollups')) }} as rollups
    where metric_name in ('new_users', 'sessions_submitted')
    group by 1, 2, 3

),

compared as (

    select
        day,
        metric_name,
        min(total) as least,
        max(total) as most
    from totals
    group by 1, 2

)

select * from compared where least <> most
