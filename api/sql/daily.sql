with rollups as (

    select
        day,
        metric_name,
        coalesce(dimensions ->> 'event_name', dimension_key) as event_name,
        {{ js_number("value") }} as value,
        is_final
    from {{ analytics }}.daily_metric_rollups
    where
        {{ windowed() }}
        and (dimension_key = 'overall' or metric_name = 'event_volume_by_name')

),

metrics as (

    select
        day,
        metric_name,
        value,
        is_final
    from rollups
    where metric_name <> 'event_volume_by_name'
    union all
    select
        day,
        metric_name,
        json_object_agg(event_name, value order by event_name collate "C"),
        bool_and(is_final)
    from rollups
    where metric_name = 'event_volume_by_name'
    group by 1, 2

),

items as (

    select
        day,
        json_object_agg(metric_name, value order by metric_name collate "C") as metrics,
        json_object_agg(metric_name, is_final order by metric_name collate "C") as is_final
    from metrics
    group by 1

)

select
    cast(row_to_json(items) as text) as item,
    true as has_data
from items
order by day
