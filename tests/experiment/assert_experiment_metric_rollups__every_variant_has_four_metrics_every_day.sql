-- The variants are those of the table: by now the source may have one more.
-- The latest rows may be of an earlier run with a shorter window, if no experiment is in scope.
with days as (

    {{ complete_days(ref('experiment_metric_rollups')) }}
    intersect
    select day from {{ latest_rows(ref('experiment_metric_rollups')) }} as latest

),

rollups as (

    select * from {{ ref('experiment_metric_rollups') }}

),

variants as (

    select distinct
        experiment_id,
        variant_id
    from {{ latest_rows(ref('experiment_metric_rollups')) }} as latest

),

counted as (

    select
        days.day,
        variants.experiment_id,
        variants.variant_id,
        count(rollups.metric_name) as metric_count
    from days
    cross join variants
    left join rollups
        on
            rollups.day = days.day
            and rollups.experiment_id = variants.experiment_id
            and rollups.variant_id = variants.variant_id
            and rollups.metric_name in (
                'users_assigned', 'users_active_d1', 'sessions_submitted_d7',
                'logging_rate_24h_by_variant'
            )
    group by 1, 2, 3

)

select * from counted where metric_count <> 4
