with rollups as (

    select
        rollups.*,
        rollups.day = max(rollups.day) over (
            partition by
                rollups.experiment_id,
                case when %(complete)s then rollups.metric_name end
        ) as is_latest
    from {{ analytics }}.experiment_metric_rollups as rollups
    inner join {{ analytics }}.experiment_catalog as catalog
        on catalog.experiment_id = rollups.experiment_id
    where
        {{ windowed() }}

)

select
    cast(row_to_json(item) as text) as item,
    true as has_data
from rollups
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
where
    rollups.is_latest
    and rollups.metric_name = 'logging_rate_24h_by_variant'
order by rollups.experiment_id collate "C", rollups.variant_id collate "C"
