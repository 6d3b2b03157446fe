with seed as (

    select * from {{ ref('funnel_steps') }}

),

funnel_steps as (

    select distinct
        {{ text_id('funnel_name') }} as funnel_name,
        step,
        {{ text_id('step_name') }} as step_name,
        {{ text_id('event_name') }} as event_name,
        coalesce(conversion_window_hours, 168) * interval '1 hour' as conversion_window
    from seed

),

numbered as (

    select
        funnel_name,
        step_name,
        event_name,
        conversion_window,
        -- Numbers with gaps are places all the same.
        cast(
            dense_rank() over (partition by funnel_name order by step, step_name) as integer
        ) as step,
        -- Grouping millions of events by a number is faster than by two names.
        cast(dense_rank() over (order by funnel_name, step_name) as integer) as step_id,
        cast(dense_rank() over (order by funnel_name) as integer) as funnel_id
    from funnel_steps
    {{ computed_once('where') }}

)

select * from numbered
