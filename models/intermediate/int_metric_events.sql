with metrics as (

    select * from {{ ref('experiment_metrics') }}

),

lists as (

    select
        metric_name,
        false as is_denominator,
        event_name as event_names
    from metrics
    union all
    select
        metric_name,
        true as is_denominator,
        denominator_event_name as event_names
    from metrics
    where measure = 'ratio'

),

metric_events as (

    select distinct
        lists.metric_name,
        lists.is_denominator,
        coalesce(key_events.event_name, {{ text_id('names.event_name') }}) as event_name
    from lists
    left join lateral (
        select *
        from unnest(string_to_array(nullif(lists.event_names, ''), '|'))
    ) as names (event_name) on true
    left join unnest(array[{{ key_event_literals() }}]) as key_events (event_name)
        on names.event_name = '$key_event'

)

select * from metric_events
