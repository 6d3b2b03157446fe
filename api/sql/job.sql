-- What a job left behind: its last good run, and when the newest rows were written. The rows count
-- too, because a run whose tests fail, or plain dbt, writes them as well.
with last_run as (

    select
        run.id,
        run.finished_at,
        -- A run as of a later moment knew no more than the clock. Other systems log no as_of.
        least(run.as_of, run.started_at) as as_of
    from unnest(array{{ names }}) as names (job_name)
    cross join lateral (
        select *
        from {{ analytics }}.rollup_runs
        where
            rollup_runs.job_name = names.job_name
            and status = 'SUCCESS'
        order by started_at desc
        limit 1
    ) as run
    order by run.started_at desc
    limit 1

),

newest_rows as (

    select
        {%- for table, newest_by in tables %}
        (
            select computed_at from {{ analytics }}.{{ table }}
            order by {{ newest_by }} desc
            limit 1
        ) as {{ table }}{{ "," if not loop.last }}
        {%- endfor %}

)

select
    concat_ws(
        ' ',
        cast(last_run.id as text)
        {%- for table, _ in tables %},
        extract(epoch from newest_rows.{{ table }})
        {%- endfor %}
    ) as version,
    {{ js_time("last_run.as_of") }} as data_as_of,
    {{ js_time("last_run.finished_at") }} as last_success_at,
    {{ js_time("newest_rows." ~ tables[0][0]) }} as computed_at,
    -- Without a comment, the days of a table are those of UTC.
    array[
        {%- for table, _ in tables %}
        case
            when newest_rows.{{ table }} is not null
                then coalesce(
                    substring(
                        obj_description(
                            to_regclass(concat({{ analytics_text }}, '.{{ table }}')), 'pg_class'
                        ) from '^Days are days of (.+)[.]$'
                    ),
                    'UTC'
                )
        end{{ "," if not loop.last }}
        {%- endfor %}
    ] as zones
from newest_rows
left join last_run on true
