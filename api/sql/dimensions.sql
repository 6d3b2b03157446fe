with items as (

    select
        day,
        metric_name,
        dimension_key,
        {{ js_number("value") }} as value,
        dimensions,
        is_final
    from {{ analytics }}.daily_dimension_rollups
    where
        {{ windowed() }}
        and {{ of_dimension() }}

)

select
    cast(row_to_json(items) as text) as item,
    true as has_data
from items
order by
    day,
    metric_name collate "C",
    dimension_key collate "C"
