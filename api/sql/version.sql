-- What a response is made of: the job's last good run, and when the newest rows were written.
-- The rows count too, because a run whose tests fail, or plain dbt, writes them as well.
with last_run as (

    select
        id,
        coalesce(as_of, started_at) as as_of
    from {{ analytics }}.rollup_runs
    where
        job_name = '{{ job }}'
        and status = 'SUCCESS'
    order by started_at desc
    limit 1

)

select
    concat_ws(
        ' ',
        min(cast(id as text))
        {%- for table, newest_by in tables %},
        (
            select extract(epoch from computed_at) from {{ analytics }}.{{ table }}
            order by {{ newest_by }} desc
            limit 1
        )
        {%- endfor %}
    ) as version,
    {{ js_time("min(as_of)") }} as data_as_of
from last_run
