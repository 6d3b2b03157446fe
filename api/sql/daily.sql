with rollups as (

    select
        day,
        metric_name,
        coalesce(dimensions ->> 'event_name', dimension_key) as event_name,
        js_number(value) as value,
        is_final
    from analytics.daily_metric_rollups
    where
        day >= %(start)s
        and day < %(end)s
        and (dimension_key = 'overall' or metric_name = 'event_volume_by_name')

),

-- Objects are strung together, because neither json nor jsonb keeps keys in byte order.
volumes as (

    select
        day,
        metric_name,
        concat(
            '{',
            string_agg(
                concat(to_json(event_name), ':', value), ',' order by event_name collate "C"
            ),
            '}'
        ) as value,
        bool_and(is_final) as is_final
    from rollups
    where metric_name = 'event_volume_by_name'
    group by 1, 2

),

metrics as (

    select
        day,
        metric_name,
        cast(value as text) as value,
        is_final
    from rollups
    where metric_name <> 'event_volume_by_name'
    union all
    select * from volumes

),

days as (

    select
        day,
        string_agg(
            concat(to_json(metric_name), ':', value), ',' order by metric_name collate "C"
        ) as metrics,
        string_agg(
            concat(to_json(metric_name), ':', to_json(is_final)),
            ',' order by metric_name collate "C"
        ) as is_final
    from metrics
    group by 1

),

answer as (

    select
        count(*) = 0 as no_data,
        string_agg(
            concat(
                '{"day":', to_json(day),
                ',"metrics":{', metrics,
                '},"is_final":{', is_final, '}}'
            ),
            ',' order by day
        ) as items
    from days

)

select * from answer
