with experiments as (

    select
        cast(experiment_id as text) as experiment_id,
        cast(status as text) as status,
        end_at
    from {{ source('app', 'experiments') }}

),

variants as (

    select
        cast(experiment_id as text) as experiment_id,
        cast(variant_id as text) as variant_id
    from {{ source('app', 'experiment_variants') }}
    where variant_id is not null

),

running_variants as (

    select distinct
        variants.experiment_id,
        variants.variant_id
    from variants
    inner join experiments on experiments.experiment_id = variants.experiment_id
    where
        experiments.status = 'RUNNING'
        -- A stopped experiment stays until its last cohorts have matured.
        or (
            experiments.status in ('PAUSED', 'ENDED')
            and experiments.end_at >= {{ utc_literal(window_start()) }}
        )

)

select * from running_variants
