with readouts as (

    select * from {{ analytics }}.experiment_readouts
    where cast(%(experiment_id)s as text) is null or experiment_id = %(experiment_id)s

),

metrics as (

    select
        readouts.experiment_id,
        readouts.metric_name,
        readouts.measure,
        readouts.role,
        readouts.desired,
        readouts.event_name,
        readouts.denominator_event_name,
        readouts.delay_hours,
        readouts.window_hours,
        readouts.cap,
        bool_or(readouts.cohort_days > 0) as has_data,
        json_agg(variant order by readouts.variant_id collate "C") as variants
    from readouts
    cross join lateral (
        select
            readouts.variant_id,
            readouts.control_variant_id,
            readouts.users,
            readouts.control_users,
            {%- for estimate in estimates %}
            {{ js_number("readouts." ~ estimate) }} as {{ estimate }},
            {%- endfor %}
            readouts.first_day,
            readouts.last_day,
            readouts.cohort_days,
            readouts.status,
            readouts.verdict
    ) as variant
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

),

metric_lists as (

    select
        metrics.experiment_id,
        bool_or(metrics.has_data) as has_data,
        json_agg(metric order by metrics.metric_name collate "C") as metrics
    from metrics
    cross join lateral (
        select
            metrics.metric_name,
            metrics.measure,
            metrics.role,
            metrics.desired,
            metrics.event_name,
            metrics.denominator_event_name,
            {{ js_number("metrics.delay_hours") }} as delay_hours,
            {{ js_number("metrics.window_hours") }} as window_hours,
            {{ js_number("metrics.cap") }} as cap,
            metrics.variants
    ) as metric
    group by 1

),

health as (

    select
        health.experiment_id,
        row_to_json(item) as health
    from {{ analytics }}.experiment_health as health
    cross join lateral (
        select
            health.control_variant_id,
            health.users,
            (
                select coalesce(json_agg(variant order by variant_id collate "C"), '[]')
                from jsonb_to_recordset(health.variants) as variant (
                    variant_id text,
                    users bigint,
                    crossover_users bigint,
                    weight json,
                    expected_share json,
                    share json
                )
            ) as variants,
            {{ js_number("health.srm_chi2") }} as srm_chi2,
            health.srm_df,
            {{ js_number("health.srm_p") }} as srm_p,
            health.srm,
            health.crossover_users,
            {{ js_number("health.crossover_share") }} as crossover_share,
            health.crossover,
            {{ js_number("health.pre_difference_p") }} as pre_difference_p,
            health.pre_difference,
            health.covers_from,
            health.complete_from,
            health.is_complete,
            array_remove(
                array[
                    case
                        when health.srm in ('warn', 'mismatch')
                            then 'The users are not split as the weights say. This alarm is false'
                                ' if the weights changed during the experiment.'
                    end,
                    case
                        when not health.is_complete
                            then concat(
                                'Not every exposed user is counted: ',
                                coalesce(
                                    'the stored days begin on '
                                    || to_char(health.covers_from, 'YYYY-MM-DD'),
                                    'no day is stored yet'
                                ),
                                '. ',
                                coalesce(
                                    'Run `python cli.py --job experiment --from '
                                    || to_char(health.complete_from, 'YYYY-MM-DD')
                                    || '` to add the missing days.',
                                    'The missing days are too old to be computed.'
                                )
                            )
                    end
                ],
                null
            ) as notes
    ) as item

)

select
    cast(row_to_json(item) as text) as item,
    coalesce(metric_lists.has_data, false) as has_data
from {{ analytics }}.experiment_catalog as catalog
left join health on health.experiment_id = catalog.experiment_id
left join metric_lists on metric_lists.experiment_id = catalog.experiment_id
cross join lateral (
    select
        catalog.experiment_id,
        catalog.status,
        {{ js_time("catalog.start_at") }} as start_at,
        {{ js_time("catalog.end_at") }} as end_at,
        health.health,
        coalesce(metric_lists.metrics, '[]') as metrics
) as item
where
    cast(%(experiment_id)s as text) is null
    or catalog.experiment_id = %(experiment_id)s
order by catalog.experiment_id collate "C"
