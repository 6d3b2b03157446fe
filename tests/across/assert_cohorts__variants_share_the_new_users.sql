-- A user has one variant of an experiment, so its cohorts add up to no more than the new users.
-- Only a warning: the two jobs read the source at slightly different instants, between which
-- events may arrive.
{{ config(severity='warn') }}

with cohorts as (

    select
        day,
        experiment_id,
        sum(cast({{ json_text('dimensions', 'cohort_size') }} as integer)) as cohort_size
    from {{ latest_rows(ref('experiment_metric_rollups')) }} as rollups
    where metric_name = 'users_assigned'
    group by 1, 2

),

new_users as (

    select
        day,
        value
    from {{ latest_rows(ref('daily_metric_rollups')) }} as rollups
    where metric_name = 'new_users'

),

compared as (

    select
        cohorts.day,
        cohorts.experiment_id,
        cohorts.cohort_size,
        new_users.value as new_users
    from cohorts
    inner join new_users on new_users.day = cohorts.day

)

select * from compared where cohort_size > new_users
