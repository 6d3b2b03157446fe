with experiments as (

    select * from {{ ref('stg_experiments') }}

),

variants as (

    select * from {{ ref('stg_experiment_variants') }}

),

-- A source view may contain an experiment twice.
numbered as (

    select
        *,
        row_number() over (
            partition by experiment_id
            order by
                status nulls last, start_at nulls last, end_at nulls last, targeting nulls last
        ) as place
    from experiments

),

variant_lists as (

    select
        experiment_id,
        {{ json_objects({
            'variant_id': id_key('variant_id'),
            'variant_name': 'variant_name',
            'weight': 'weight',
            'is_control': 'is_control',
        }, [id_key('variant_id'), 'variant_name', 'weight', 'is_control']) }} as variants
    from variants
    group by 1

),

catalog as (

    select
        {{ id_key('numbered.experiment_id') }} as experiment_id,
        numbered.status,
        numbered.start_at,
        numbered.end_at,
        {{ jsonb_of('numbered.targeting') }} as targeting,
        coalesce(variant_lists.variants, '[]') as variants,
        current_timestamp as computed_at
    from numbered
    left join variant_lists on variant_lists.experiment_id = numbered.experiment_id
    where numbered.place = 1

)

select * from catalog
