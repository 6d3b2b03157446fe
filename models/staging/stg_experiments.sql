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
        cast(status as text) as status,
        cast(start_at as timestamptz) as start_at,
        cast(end_at as timestamptz) as end_at,
        cast(targeting as text) as targeting
    from source
    where experiment_id is not null

)

select * from renamed
