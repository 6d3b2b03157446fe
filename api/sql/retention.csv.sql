select
    {{ csv_text("period") }} as period,
    cohort_start,
    period_number,
    {{ csv_text("dimension_key") }} as dimension_key,
    users_count,
    period_start,
    period_end,
    cast(is_final as text) as is_final,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.retention_rollups as rollups
where
    {{ windowed("cohort_start") }}
    and period_start >= %(start)s  -- which has an index
    and {{ of_dimension() }}
order by
    rollups.period,
    rollups.cohort_start,
    rollups.dimension_key collate "C",
    rollups.period_number
