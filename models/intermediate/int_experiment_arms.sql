with experiments as (

    select experiment_id from {{ ref('experiment_catalog') }}

),

variants as (

    select
        {{ id_key('experiment_id') }} as experiment_id,
        {{ id_key('variant_id') }} as variant_id,
        coalesce(bool_or(is_control), false) as is_control,
        -- Beyond these, shares would overflow.
        max(
            case
                when weight between 1e-9 and 1e9 then {{ cast_as('weight', 'double precision') }}
            end
        ) as weight
    from {{ ref('stg_experiment_variants') }}
    where variant_id is not null
    group by 1, 2

),

arms as (

    select
        variants.experiment_id,
        variants.variant_id,
        variants.is_control,
        variants.weight,
        variants.weight / sum(variants.weight) over experiment as expected_share,
        count(*) over experiment - 1 as comparisons,
        case
            when count(*) filter (where variants.is_control) over experiment = 1
                then min(variants.variant_id) filter (where variants.is_control) over experiment
        end as control_variant_id
    from variants
    inner join experiments on experiments.experiment_id = variants.experiment_id
    window experiment as (partition by variants.experiment_id)

)

select * from arms
