with rollups as (

    select
        experiment_id,
        day,
        variant_id,
        metric_name,
        js_number(value) as value,
        dimensions,
        is_final
    from analytics.experiment_metric_rollups
    where
        day >= %(start)s
        and day < %(end)s
        and (cast(%(experiment_id)s as text) is null or experiment_id = %(experiment_id)s)

),

series as (

    select
        rollups.experiment_id,
        max(rollups.day) as latest_day,
        string_agg(
            -- The order of the keys inside dimensions is jsonb's, by length: day, cohort_size,
            -- converted_users.
            cast(row_to_json(point) as text),
            ',' order by rollups.day, rollups.variant_id collate "C", rollups.metric_name collate "C"
        ) as points
    from rollups
    cross join lateral (
        select
            rollups.day,
            rollups.variant_id,
            rollups.metric_name,
            rollups.value,
            rollups.dimensions,
            rollups.is_final
    ) as point
    group by 1

),

latest_by_variant as (

    select
        rollups.experiment_id,
        rollups.variant_id,
        string_agg(
            concat(to_json(rollups.metric_name), ':', rollups.value),
            ',' order by rollups.metric_name collate "C"
        ) as metrics
    from rollups
    inner join series
        on
            series.experiment_id = rollups.experiment_id
            and series.latest_day = rollups.day
    group by 1, 2

),

latest as (

    select
        experiment_id,
        string_agg(
            concat(to_json(variant_id), ':{', metrics, '}'), ',' order by variant_id collate "C"
        ) as metrics
    from latest_by_variant
    group by 1

),

catalog as (

    select
        experiment_id,
        status,
        js_time(start_at) as start_at,
        js_time(end_at) as end_at,
        targeting,
        (
            select string_agg(
                cast(row_to_json(variant) as text), ',' order by variant_id collate "C"
            )
            from jsonb_to_recordset(variants) as variant (
                variant_id text, variant_name text, weight json, is_control boolean
            )
        ) as variants
    from analytics.experiment_catalog
    where cast(%(experiment_id)s as text) is null or experiment_id = %(experiment_id)s

),

answer as (

    select
        count(series.latest_day) = 0 as no_data,
        string_agg(
            concat(
                '{"experiment_id":', to_json(catalog.experiment_id),
                ',"status":', coalesce(to_json(catalog.status), 'null'),
                ',"start_at":', coalesce(to_json(catalog.start_at), 'null'),
                ',"end_at":', coalesce(to_json(catalog.end_at), 'null'),
                ',"targeting":', coalesce(catalog.targeting, 'null'),
                ',"variants":[', catalog.variants,
                '],"latest_day":', coalesce(to_json(js_midnight(series.latest_day)), 'null'),
                ',"latest_metrics_by_variant":{', latest.metrics,
                '},"series":[', series.points, ']}'
            ),
            ',' order by catalog.experiment_id collate "C"
        ) as items
    from catalog
    left join series on series.experiment_id = catalog.experiment_id
    left join latest on latest.experiment_id = catalog.experiment_id

)

select * from answer
