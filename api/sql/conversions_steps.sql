select cast(row_to_json(item) as text) as item
from (
    select
        funnel_name,
        row_number() over (
            partition by funnel_name order by min(step), step_name collate "C"
        ) as step,
        step_name,
        json_agg(event_name order by event_name collate "C") as event_names,
        -- An earlier version's table lacks the column.
        coalesce(
            max(cast(to_jsonb(seed) ->> 'conversion_window_hours' as double precision)), 168
        ) as conversion_window_hours
    from {{ analytics }}.funnel_steps as seed
    group by funnel_name, step_name
) as steps
cross join lateral (
    select
        steps.funnel_name,
        steps.step,
        steps.step_name,
        steps.event_names,
        {{ js_number("steps.conversion_window_hours") }} as conversion_window_hours
) as item
order by steps.funnel_name collate "C", steps.step
