with source as (

    select *
    from {{ experiment_source('assignments', {
        'anonymous_user_id': 'text', 'experiment_id': 'text', 'variant_id': 'text',
        'assigned_at': 'timestamptz'
    }) }}

),

renamed as (

    select
        {{ text_id('anonymous_user_id') }} as anonymous_user_id,
        {{ text_id('experiment_id') }} as experiment_id,
        {{ text_id('variant_id') }} as variant_id,
        {{ cast_as('assigned_at', 'timestamptz') }} as assigned_at
    from source

)

select * from renamed
