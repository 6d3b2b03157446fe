-- Days without events have one too: a run adds what is missing even where it may not rewrite.
with days as (

    {{ complete_days(ref('funnel_rollups')) }}

),

steps as (

    select distinct
        funnel_name,
        step_name
    from {{ ref('funnel_steps') }}

),

overall as (

    select * from {{ ref('funnel_rollups') }}
    where dimension_key = 'overall'

),

missing as (

    select
        days.day,
        steps.funnel_name,
        steps.step_name
    from days
    cross join steps
    left join overall
        on
            overall.day = days.day
            and overall.funnel_name = steps.funnel_name
            and overall.step_name = steps.step_name
    where overall.day is null

)

select * from missing
