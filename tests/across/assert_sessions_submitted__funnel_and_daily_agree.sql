-- A step of the key events and nothing else counts as many as the day's metric.
-- Only a warning: the two jobs read the source at slightly different instants, between which
-- events may arrive.
{{ config(severity='warn') }}

with steps as (

    select
        funnel_name,
        step_name
    from {{ ref('funnel_steps') }}
    group by 1, 2
    having
        bool_and({{ is_key_event('event_name') }})
        and count(distinct event_name) = {{ key_events() | length }}

),

funnel as (

    select
        day,
        funnel_name,
        step_name,
        events_count
    from {{ latest_rows(ref('funnel_rollups')) }} as rollups
    where dimension_key = 'overall'

),

daily as (

    select
        day,
        value
    from {{ latest_rows(ref('daily_metric_rollups')) }} as rollups
    where metric_name = 'sessions_submitted'

),

compared as (

    select
        funnel.day,
        funnel.funnel_name,
        funnel.step_name,
        funnel.events_count,
        daily.value as sessions_submitted
    from funnel
    inner join steps
        on
            steps.funnel_name = funnel.funnel_name
            and steps.step_name = funnel.step_name
    inner join daily on daily.day = funnel.day

)

select * from compared where events_count <> sessions_submitted
