-- What an answer is made of: the job's last good run, and when the newest rows were written.
-- The rows count too, because a run whose tests fail, or plain dbt, writes them as well.
with last_run as (

    select
        id,
        coalesce(as_of, started_at) as as_of
    from analytics.rollup_runs
    where
        job_name = this_job()
        and status = 'SUCCESS'
    order by started_at desc
    limit 1

),

answer as (

    select
        concat_ws(' ', min(cast(id as text)), newest_rows()) as version,
        js_time(min(as_of)) as data_as_of
    from last_run

)

select * from answer
