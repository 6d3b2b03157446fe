select
    day,
    {{ csv_text("experiment_id") }} as experiment_id,
    {{ csv_text("variant_id") }} as variant_id,
    {{ csv_text("metric_name") }} as metric_name,
    {{ csv_number("value") }} as value,
    {{ csv_text("cast(dimensions as text)") }} as dimensions,
    cast(is_final as text) as is_final,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.experiment_metric_rollups as rollups
where
    {{ windowed() }}
    and (cast(%(experiment_id)s as text) is null or experiment_id = %(experiment_id)s)
order by
    day,
    rollups.experiment_id collate "C",
    rollups.variant_id collate "C",
    rollups.metric_name collate "C"
