select
    {{ csv_text("experiment_id") }} as experiment_id,
    {{ csv_text("metric_name") }} as metric_name,
    {{ csv_text("variant_id") }} as variant_id,
    {{ csv_text("control_variant_id") }} as control_variant_id,
    {{ csv_text("measure") }} as measure,
    {{ csv_text("event_name") }} as event_name,
    {{ csv_text("denominator_event_name") }} as denominator_event_name,
    {%- for number in ("delay_hours", "window_hours", "cap") %}
    {{ csv_number(number) }} as {{ number }},
    {%- endfor %}
    {{ csv_text("desired") }} as desired,
    {{ csv_text("role") }} as role,
    users,
    control_users,
    {%- for estimate in estimates %}
    {{ csv_number(estimate) }} as {{ estimate }},
    {%- endfor %}
    first_day,
    last_day,
    cohort_days,
    {{ csv_text("status") }} as status,
    {{ csv_text("verdict") }} as verdict,
    {{ js_time("computed_at") }} as computed_at
from {{ analytics }}.experiment_readouts as readouts
where cast(%(experiment_id)s as text) is null or experiment_id = %(experiment_id)s
order by
    readouts.experiment_id collate "C",
    readouts.metric_name collate "C",
    readouts.variant_id collate "C"
