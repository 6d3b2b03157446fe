with latest as (

    select
        rollups.experiment_id,
        max(rollups.day) as day
    from {{ analytics }}.experiment_metric_rollups as rollups
    inner join {{ analytics }}.experiment_catalog as catalog
        on catalog.experiment_id = rollups.experiment_id
    where
        rollups.day >= %(start)s
        and rollups.day < %(end)s
    group by 1

)

select
    cast(row_to_json(item) as text) as item,
    true as has_data
from {{ analytics }}.experiment_metric_rollups as rollups
inner join latest
    on
        latest.experiment_id = rollups.experiment_id
        and latest.day = rollups.day
cross join lateral (
    select
        rollups.experiment_id,
        rollups.variant_id,
        {{ js_midnight("rollups.day") }} as day,
        %(window_days)s as window_days
) as about
cross join lateral (
    select
        'logging_rate_24h' as metric_name,
        {{ js_number("rollups.value") }} as value,
        row_to_json(about) as dimensions,
        rollups.is_final
) as item
where rollups.metric_name = 'logging_rate_24h_by_variant'
order by rollups.experiment_id collate "C", rollups.variant_id collate "C"
