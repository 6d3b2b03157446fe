with funnel_steps as (

    select distinct
        funnel_name,
        step_name,
        event_name
    from {{ ref('funnel_steps') }}

),

numbered as (

    select
        funnel_name,
        step_name,
        event_name,
        -- Grouping millions of events by a number is quicker than by two names.
        cast(dense_rank() over (order by funnel_name, step_name) as integer) as step_id
    from funnel_steps

)

select * from numbered
