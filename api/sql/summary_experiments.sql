with catalog as (

    select experiment_id from analytics.experiment_catalog

),

latest as (

    select
        rollups.experiment_id,
        max(rollups.day) as day
    from analytics.experiment_metric_rollups as rollups
    inner join catalog on catalog.experiment_id = rollups.experiment_id
    where
        rollups.day >= %(start)s
        and rollups.day < %(end)s
    group by 1

),

rates as (

    select
        rollups.experiment_id,
        rollups.variant_id,
        rollups.day,
        js_number(rollups.value) as value,
        rollups.is_final
    from analytics.experiment_metric_rollups as rollups
    inner join latest
        on
            latest.experiment_id = rollups.experiment_id
            and latest.day = rollups.day
    where rollups.metric_name = 'logging_rate_24h_by_variant'

),

answer as (

    select
        count(*) = 0 as no_data,
        string_agg(
            concat(
                '{"metric_name":"logging_rate_24h","value":', value,
                ',"dimensions":{"experiment_id":', to_json(experiment_id),
                ',"variant_id":', to_json(variant_id),
                ',"day":', to_json(js_midnight(day)),
                ',"window_days":', %(window_days)s,
                '},"is_final":', to_json(is_final), '}'
            ),
            ',' order by experiment_id collate "C", variant_id collate "C"
        ) as items
    from rates

)

select * from answer
