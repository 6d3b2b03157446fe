with seed as (

    select * from {{ ref('funnel_steps') }}

),

funnel_steps as (

    select distinct
        {{ text_id('funnel_name') }} as funnel_name,
        {{ text_id('step_name') }} as step_name,
        {{ text_id('event_name') }} as event_name
    from seed

),

numbered as (

    select
        funnel_name,
        step_name,
        event_name,
        -- Grouping millions of events by a number is faster than by two names.
        cast(dense_rank() over (order by funnel_name, step_name) as integer) as step_id
    from funnel_steps

)

select * from numbered
