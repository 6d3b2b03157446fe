select
    day,
    {{ csv_text("funnel_name") }} as funnel_name,
    step,
    {{ csv_text("step_name") }} as step_name,
    {{ csv_text("dimension_key") }} as dimension_key,
    users_count,
    {{ csv_number("median_seconds") }} as median_seconds,
    {{ js_time("matures_at") }} as matures_at,
    cast(is_final as text) as is_final,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.funnel_conversion_rollups as rollups
where
    {{ windowed() }}
    and {{ of_dimension() }}
    and (cast(%(funnel_name)s as text) is null or funnel_name = %(funnel_name)s)
order by
    rollups.day,
    rollups.funnel_name collate "C",
    rollups.dimension_key collate "C",
    rollups.step
