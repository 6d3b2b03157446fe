-- All four metrics of a day name one cohort, and a user who converted submitted a session.
with rollups as (

    select * from {{ latest_rows(ref('experiment_metric_rollups')) }} as rollups

),

variants as (

    select
        day,
        experiment_id,
        variant_id,
        min(cast({{ json_text('dimensions', 'cohort_size') }} as integer)) as smallest_cohort,
        max(cast({{ json_text('dimensions', 'cohort_size') }} as integer)) as largest_cohort,
        max(cast({{ json_text('dimensions', 'converted_users') }} as integer)) as converted_users,
        max(value) filter (where metric_name = 'sessions_submitted_d7') as sessions_submitted
    from rollups
    group by 1, 2, 3

)

select * from variants
where
    smallest_cohort <> largest_cohort
    or converted_users > sessions_submitted
