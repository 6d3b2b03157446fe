select
    day,
    {{ csv_text("metric_name") }} as metric_name,
    {{ csv_text("dimension_key") }} as dimension_key,
    {{ csv_number("value") }} as value,
    {{ csv_text("cast(dimensions as text)") }} as dimensions,
    cast(is_final as text) as is_final,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.daily_metric_rollups
where
    {{ windowed() }}
order by day, metric_name collate "C", dimension_key collate "C"
