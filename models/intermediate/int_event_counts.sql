with events as (

    select * from {{ events() }} as events

),

-- Lags are collected with the counts, to read the events only once.
event_counts as (

    select
        {{ day_of('occurred_at') }} as day,
        event_name,
        count(*) as event_count
        {{- collected_lags() }}
    from events
    group by 1, 2
    {{ computed_once('having') }}

)

select * from event_counts
