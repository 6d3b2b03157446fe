with source as (

    select *
    from {{ experiment_source('experiment_variants', {
        'experiment_id': 'text', 'variant_id': 'text', 'variant_name': 'text',
        'weight': 'double precision', 'is_control': 'boolean'
    }) }}

),

renamed as (

    select
        {{ text_id('experiment_id') }} as experiment_id,
        {{ text_id('variant_id') }} as variant_id,
        variant_name,
        weight,
        is_control
    from source

)

select * from renamed
