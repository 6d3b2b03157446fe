with source as (

    select * from {{ source('app', 'experiment_variants') }}

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
