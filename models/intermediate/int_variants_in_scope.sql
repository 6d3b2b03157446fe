with experiments as (

    select * from {{ ref('stg_experiments') }}

),

variants as (

    select * from {{ ref('stg_experiment_variants') }}

),

variants_in_scope as (

    select distinct
        variants.experiment_id,
        variants.variant_id
    from variants
    inner join experiments on experiments.experiment_id = variants.experiment_id
    where
        variants.variant_id is not null
        and (
            experiments.status = 'RUNNING'
            -- A stopped experiment stays until its last cohorts have matured.
            or (
                experiments.status in ('PAUSED', 'ENDED')
                and experiments.end_at >= {{ utc_literal(window_start()) }}
            )
        )

)

select * from variants_in_scope
