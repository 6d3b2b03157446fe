with rollups as (

    select
        day,
        metric_name,
        value,
        is_final
    from analytics.daily_metric_rollups
    where
        day >= %(start)s
        and day < %(end)s
        and dimension_key = 'overall'

),

latest as (

    select * from rollups
    where day = (select max(day) from rollups)

),

metrics as (

    select
        1 as place,
        metric_name,
        js_number(value) as value,
        concat(
            '{"overall":true,"day":', to_json(day), ',"window_days":', %(window_days)s, '}'
        ) as dimensions,
        is_final
    from latest
    where metric_name = 'logging_rate_24h'
    union all
    select
        2,
        metric_name,
        js_number(value),
        concat('{"day":', to_json(day), '}'),
        is_final
    from latest
    where metric_name = 'dau'
    union all
    select
        3,
        'sessions_submitted_total',
        js_number(sum(value)),
        concat('{"window_days":', %(window_days)s, '}'),
        bool_and(is_final)
    from rollups
    where metric_name = 'sessions_submitted'
    having count(*) > 0
    union all
    select
        4,
        metric_name,
        js_number(value),
        concat('{"day":', to_json(day), ',"unit":"seconds"}'),
        is_final
    from latest
    where metric_name in ('ingestion_lag_p50', 'ingestion_lag_p95')

),

answer as (

    select
        count(*) = 0 as no_data,
        string_agg(
            concat(
                '{"metric_name":', to_json(metric_name),
                ',"value":', value,
                ',"dimensions":', dimensions,
                ',"is_final":', to_json(is_final), '}'
            ),
            ',' order by place, metric_name collate "C"
        ) as items
    from metrics

)

select * from answer
