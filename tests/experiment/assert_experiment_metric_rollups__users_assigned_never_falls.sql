-- It accumulates, so a later day of the same run has at least as many.
with rollups as (

    select * from {{ latest_rows(ref('experiment_metric_rollups')) }} as rollups
    where metric_name = 'users_assigned'

),

compared as (

    select
        day,
        experiment_id,
        variant_id,
        value,
        lag(value) over (partition by experiment_id, variant_id order by day) as value_before
    from rollups

)

select * from compared where value < value_before
