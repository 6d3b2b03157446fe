select
    day,
    funnel_name,
    step_name,
    dimension_key,
    experiment_id,
    variant_id,
    users_count,
    events_count,
    is_final,
    js_time(computed_at) as computed_at
from analytics.funnel_rollups
where
    day >= %(start)s
    and day < %(end)s
    and (cast(%(funnel_name)s as text) is null or funnel_name = %(funnel_name)s)
order by day, funnel_name collate "C", step_name collate "C", dimension_key collate "C"
