select
    day,
    experiment_id,
    variant_id,
    metric_name,
    cast(js_number(value) as text) as value,
    cast(dimensions as text) as dimensions,
    is_final,
    js_time(computed_at) as computed_at
from analytics.experiment_metric_rollups
where
    day >= %(start)s
    and day < %(end)s
    and (cast(%(experiment_id)s as text) is null or experiment_id = %(experiment_id)s)
order by day, experiment_id collate "C", variant_id collate "C", metric_name collate "C"
