select
    day,
    {{ csv_text("period") }} as period,
    {{ csv_text("dimension_key") }} as dimension_key,
    users_count,
    cast(is_final as text) as is_final,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.active_user_rollups as rollups
where
    {{ windowed() }}
    and {{ of_dimension() }}
order by
    rollups.day,
    array_position(array['day', 'week', 'month'], rollups.period),
    rollups.dimension_key collate "C"
