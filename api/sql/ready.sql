select cast(row_to_json(item) as text) as item
from unnest(cast(%(jobs)s as text [])) as jobs (job_name)
left join lateral (
    select
        as_of,
        finished_at
    from {{ analytics }}.rollup_runs
    where
        rollup_runs.job_name = jobs.job_name
        and status = 'SUCCESS'
    order by started_at desc
    limit 1
) as run on true
cross join lateral (
    select
        jobs.job_name,
        {{ js_time("run.finished_at") }} as last_success_at,
        {{ js_time("run.as_of") }} as data_as_of,
        cast(extract(epoch from %(now)s - run.as_of) as bigint) as age_seconds
) as item
order by jobs.job_name
