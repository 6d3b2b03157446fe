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
    {{ join_parts("nullif(lists.event_names, '')", '|', 'names', 'event_name') }}
    left join {{ list_rows(key_event_literals(), 'key_events', 'event_name') }}
        on names.event_name = '$key_event'

)

select * from metric_events
