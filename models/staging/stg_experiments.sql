-- The job writes nothing before its seed is checked.
-- depends_on: {{ ref('experiment_metrics') }}
with source as (

    select *
    from {{ experiment_source('experiments', {
        'experiment_id': 'text', 'status': 'text', 'start_at': 'timestamptz',
        'end_at': 'timestamptz', 'targeting': 'jsonb'
    }) }}

),

renamed as (

    select
        {{ text_id('experiment_id') }} as experiment_id,
        {{ cast_as('status', 'text') }} as status,
        {{ cast_as('start_at', 'timestamptz') }} as start_at,
        {{ cast_as('end_at', 'timestamptz') }} as end_at,
        {{ cast_as('targeting', 'text') }} as targeting
    from source
    where experiment_id is not null

)

select * from renamed
