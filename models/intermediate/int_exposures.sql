with assignments as (

    select * from {{ ref('stg_assignments') }}

),

experiments as (

    select * from {{ ref('stg_experiments') }}

),

variants as (

    select * from {{ ref('stg_experiment_variants') }}

),

exposures as (

    select
        assignments.experiment_id,
        assignments.variant_id,
        assignments.anonymous_user_id,
        assignments.assigned_at as exposed_at
    from assignments
    inner join experiments on experiments.experiment_id = assignments.experiment_id
    where
        assignments.anonymous_user_id is not null
        and assignments.assigned_at >= coalesce(experiments.start_at, {{ before_all_time() }})
        and assignments.assigned_at < coalesce(experiments.end_at, {{ after_all_time() }})
        and assignments.assigned_at <= {{ utc_literal(valid_until()) }}
        and exists (
            select 1
            from variants
            where
                variants.experiment_id = assignments.experiment_id
                and variants.variant_id = assignments.variant_id
        )

)

select * from exposures
