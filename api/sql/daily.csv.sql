select
    day,
    metric_name,
    dimension_key,
    cast(js_number(value) as text) as value,
    cast(dimensions as text) as dimensions,
    is_final,
    js_time(computed_at) as computed_at
from analytics.daily_metric_rollups
where
    day >= %(start)s
    and day < %(end)s
order by day, metric_name collate "C", dimension_key collate "C"
