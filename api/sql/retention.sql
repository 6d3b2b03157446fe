with cells as (

    select
        *,
        max(users_count) filter (where period_number = 0) over (
            partition by period, cohort_start, dimension_key
        ) as cohort_size
    from {{ analytics }}.retention_rollups
    where
        cohort_start >= %(start)s
        and cohort_start < %(end)s
        and period_start >= %(start)s  -- which has an index
        and {{ of_dimension() }}

)

select
    cast(row_to_json(item) as text) as item,
    true as has_data
from cells
cross join lateral (
    select
        cells.period,
        cells.cohort_start,
        cells.period_number,
        cells.dimension_key,
        cells.users_count,
        cells.cohort_size,
        {{ js_number(share("cells.users_count", "cells.cohort_size")) }} as retention,
        cells.is_final
) as item
-- The size of a cohort may be older than the rest, and count all the same.
where cells.is_final or not %(complete)s
order by
    cells.period,
    cells.cohort_start,
    cells.dimension_key collate "C",
    cells.period_number
