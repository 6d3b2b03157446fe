-- An event names at most one variant of an experiment, so its variants' events add up to no
-- more than all events of the step. Users do not add up, as their variant may change in a day.
with rollups as (

    select * from {{ latest_rows(ref('funnel_rollups')) }} as rollups

),

overall as (

    select * from rollups where dimension_key = 'overall'

),

experiments as (

    select
        day,
        funnel_name,
        step_name,
        experiment_id,
        max(users_count) as most_users,
        sum(events_count) as events_count
    from rollups
    where dimension_key <> 'overall'
    group by 1, 2, 3, 4

),

compared as (

    select
        experiments.*,
        overall.users_count as overall_users,
        overall.events_count as overall_events
    from experiments
    left join overall
        on
            overall.day = experiments.day
            and overall.funnel_name = experiments.funnel_name
            and overall.step_name = experiments.step_name

)

select * from compared
where
    overall_users is null
    or most_users > overall_users
    or events_count > overall_events
