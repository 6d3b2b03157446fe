with experiments as (

    select
        {{ id_key('cast(experiment_id as text)') }} as experiment_id,
        cast(status as text) as status,
        {{ utc_instant('start_at') }} as start_at,
        {{ utc_instant('end_at') }} as end_at,
        cast(targeting as text) as targeting
    from {{ source('app', 'experiments') }}
    where experiment_id is not null

),

-- A view may name an experiment twice, where a table's key would not let it.
numbered as (

    select
        *,
        row_number() over (
            partition by experiment_id
            order by status, start_at, end_at, targeting
        ) as place
    from experiments

),

variants as (

    select
        {{ id_key('cast(experiment_id as text)') }} as experiment_id,
        {{ id_key('cast(variant_id as text)') }} as variant_id,
        variant_name,
        weight,
        is_control
    from {{ source('app', 'experiment_variants') }}

),

variant_lists as (

    select
        experiment_id,
        jsonb_agg(
            jsonb_build_object(
                'variant_id', variant_id,
                'variant_name', variant_name,
                'weight', weight,
                'is_control', is_control
            )
            order by variant_id collate "C", variant_name, weight, is_control
        ) as variants
    from variants
    group by 1

),

catalog as (

    select
        numbered.experiment_id,
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
