select
    day,
    {{ csv_text("funnel_name") }} as funnel_name,
    {{ csv_text("step_name") }} as step_name,
    {{ csv_text("dimension_key") }} as dimension_key,
    {{ csv_text("experiment_id") }} as experiment_id,
    {{ csv_text("variant_id") }} as variant_id,
    users_count,
    events_count,
    cast(is_final as text) as is_final,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.funnel_rollups as rollups
where
    {{ windowed() }}
    and (cast(%(funnel_name)s as text) is null or funnel_name = %(funnel_name)s)
order by
    day,
    rollups.funnel_name collate "C",
    rollups.step_name collate "C",
    rollups.dimension_key collate "C"
