select cast(row_to_json(item) as text) as item
from {{ analytics }}.rollup_runs as runs
cross join lateral (
    select
        id,
        {{ job_of("runs.job_name") }} as job_name,
        status,
        {{ js_time("started_at") }} as started_at,
        {{ js_time("finished_at") }} as finished_at,
        {{ js_time("as_of") }} as as_of,
        {{ js_time("window_start") }} as window_start,
        {{ js_time("window_end") }} as window_end,
        rows_written,
        ignored_count,
        ignored_by_rule,
        error_text,
        holder,
        dbt_invocation_id,
        {{ js_time("kept_since") }} as kept_since
) as item
order by runs.started_at desc, runs.job_name
limit %(limit)s
