with rollups as (

    select
        experiment_id,
        day,
        variant_id,
        metric_name,
        {{ js_number("value") }} as value,
        dimensions,
        is_final
    from {{ analytics }}.experiment_metric_rollups
    where
        {{ windowed() }}
        and (cast(%(experiment_id)s as text) is null or experiment_id = %(experiment_id)s)

),

series as (

    select
        rollups.experiment_id,
        max(rollups.day) as latest_day,
        json_agg(
            point order by
                rollups.day,
                rollups.variant_id collate "C",
                rollups.metric_name collate "C"
        ) as points
    from rollups
    cross join lateral (
        select
            rollups.day,
            rollups.variant_id,
            rollups.metric_name,
            rollups.value,
            -- jsonb orders its keys by length: day, cohort_size, converted_users.
            rollups.dimensions,
            rollups.is_final
    ) as point
    group by 1

),

latest_by_variant as (

    select
        rollups.experiment_id,
        rollups.variant_id,
        json_object_agg(
            rollups.metric_name, rollups.value order by rollups.metric_name collate "C"
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
        json_object_agg(variant_id, metrics order by variant_id collate "C") as metrics
    from latest_by_variant
    group by 1

),

items as (

    select
        catalog.experiment_id,
        catalog.status,
        {{ js_time("catalog.start_at") }} as start_at,
        {{ js_time("catalog.end_at") }} as end_at,
        catalog.targeting,
        (
            select coalesce(json_agg(variant order by variant_id collate "C"), '[]')
            from jsonb_to_recordset(catalog.variants) as variant (
                variant_id text, variant_name text, weight json, is_control boolean
            )
        ) as variants,
        {{ js_midnight("series.latest_day") }} as latest_day,
        coalesce(latest.metrics, '{}') as latest_metrics_by_variant,
        coalesce(series.points, '[]') as series
    from {{ analytics }}.experiment_catalog as catalog
    left join series on series.experiment_id = catalog.experiment_id
    left join latest on latest.experiment_id = catalog.experiment_id
    where
        cast(%(experiment_id)s as text) is null
        or catalog.experiment_id = %(experiment_id)s

)

select
    cast(row_to_json(items) as text) as item,
    latest_day is not null as has_data
from items
order by experiment_id collate "C"
