select
    day,
    {{ csv_text("metric_name") }} as metric_name,
    {{ csv_text("dimension_key") }} as dimension_key,
    {{ csv_number("value") }} as value,
    {{ csv_text("cast(dimensions as text)") }} as dimensions,
    cast(is_final as text) as is_final,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.daily_dimension_rollups as rollups
where
    {{ windowed() }}
    and {{ of_dimension() }}
order by
    rollups.day,
    rollups.metric_name collate "C",
    rollups.dimension_key collate "C"
