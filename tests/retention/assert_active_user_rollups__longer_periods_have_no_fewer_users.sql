-- Who is active on a day is active in the 7 and the 28 days that end with it.
with periods as (

    select
        day,
        dimension_key,
        coalesce(max(users_count) filter (where period = 'day'), 0) as of_day,
        coalesce(max(users_count) filter (where period = 'week'), 0) as of_week,
        max(users_count) filter (where period = 'month') as of_month
    from {{ latest_rows(ref('active_user_rollups')) }} as rollups
    group by 1, 2

)

select * from periods where (of_day <= of_week and of_week <= of_month) is not true
