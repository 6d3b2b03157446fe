with variants as (

    select
        experiment_id,
        jsonb_agg(
            jsonb_build_object(
                'variant_id', variant_id,
                'variant_name', variant_name,
                'weight', weight,
                'is_control', is_control
            )
            order by variant_id collate "C"
        ) as variants
    from {{ source('app', 'experiment_variants') }}
    group by 1

),

catalog as (

    select
        experiments.experiment_id,
        cast(experiments.status as text) as status,
        {{ utc_instant('experiments.start_at') }} as start_at,
        {{ utc_instant('experiments.end_at') }} as end_at,
        experiments.targeting,
        coalesce(variants.variants, '[]') as variants,
        current_timestamp as computed_at
    from {{ source('app', 'experiments') }} as experiments
    left join variants on variants.experiment_id = experiments.experiment_id

)

select * from catalog
