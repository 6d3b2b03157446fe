with days as (

    select spine.day
    from ({{ window_spine() }}) as spine
    -- Who was exposed before the source begins would look as if nothing had happened since.
    where spine.day >= {{ first_event_day() }}

),

variants as (

    select * from {{ ref('int_variants_in_scope') }}

),

metrics as (

    select
        *,
        -- Grouping events by a number is faster than by a name.
        row_number() over (order by metric_name) as metric_id,
        delay_hours * interval '1 hour' as opens,
        (delay_hours + window_hours) * interval '1 hour' as closes
    from {{ ref('experiment_metrics') }}

),

-- Metric 0 looks for crossovers in the longest span.
wanted as materialized (

    select
        metrics.metric_id,
        metric_events.is_denominator,
        metric_events.event_name,
        metrics.opens,
        metrics.closes,
        metrics.measure = 'any' and metric_events.event_name is null as is_open_below
    from metrics
    inner join {{ ref('int_metric_events') }} as metric_events
        on metric_events.metric_name = metrics.metric_name
    union all
    select
        0 as metric_id,
        false as is_denominator,
        null as event_name,
        interval '0' as opens,
        max(closes) as closes,
        false as is_open_below
    from metrics

),

exposures as (

    select
        exposures.*,
        row_number() over () as exposure_id
    from {{ ref('int_exposures') }} as exposures
    inner join variants
        on
            variants.experiment_id = exposures.experiment_id
            and variants.variant_id = exposures.variant_id
    where
        exposures.exposed_at >= {{ utc_literal(window_start()) }}
        and exposures.exposed_at < {{ utc_literal(window_end()) }}

),

events as (

    select * from {{ events(before_exposure(), after_exposure()) }} as events

),

user_events as (

    select
        exposures.exposure_id,
        events.event_name,
        events.occurred_at - exposures.exposed_at as age,
        case
            when events.occurred_at >= exposures.exposed_at then events.experiment_map
        end as experiment_map
    from events
    inner join exposures
        on exposures.anonymous_user_id = {{ text_id('events.anonymous_user_id') }}
    -- Keeps the planner from multiplying the events by the metrics before this join.
    offset 0

),

counted as (

    select
        user_events.exposure_id,
        wanted.metric_id,
        case when wanted.metric_id = 0 then user_events.experiment_map end as experiment_map,
        min(user_events.age) as age,
        count(*) filter (
            where user_events.age >= interval '0' and not wanted.is_denominator
        ) as event_count,
        count(*) filter (
            where user_events.age >= interval '0' and wanted.is_denominator
        ) as denominator_count,
        count(*) filter (
            where user_events.age < interval '0' and not wanted.is_denominator
        ) as pre_count
    from user_events
    -- Goes through the few metrics for each event, whatever the planner thinks of their numbers.
    cross join lateral (
        select *
        from wanted
        where
            (wanted.event_name = user_events.event_name or wanted.event_name is null)
            and (
                user_events.age between wanted.opens and wanted.closes
                and not (wanted.is_open_below and user_events.age = wanted.opens)
                or (
                    user_events.age < interval '0'
                    and user_events.age >= interval '-14 days'
                    and wanted.metric_id > 0
                )
            )
        offset 0
    ) as wanted
    group by 1, 2, 3

),

maps as (

    select distinct experiment_map
    from counted
    where metric_id = 0

),

named_variants as (

    select distinct
        maps.experiment_map,
        variant.experiment_id,
        variant.variant_id
    from maps
    cross join lateral (
        {{ json_pairs(jsonb_of('maps.experiment_map')) }}
    ) as variant (experiment_id, variant_id)
    inner join variants
        on
            variants.experiment_id = variant.experiment_id
            and variants.variant_id = variant.variant_id

),

crossovers as (

    select
        exposures.exposure_id,
        min(counted.age) as age
    from counted
    inner join exposures on exposures.exposure_id = counted.exposure_id
    inner join named_variants
        on
            named_variants.experiment_map = counted.experiment_map
            and named_variants.experiment_id = exposures.experiment_id
            and named_variants.variant_id <> exposures.variant_id
    where counted.metric_id = 0
    group by 1

),

-- One row per exposure and metric. A value is null for a crossover, so no aggregate counts it.
measured as (

    select
        cast(exposures.exposed_at as date) as day,
        exposures.experiment_id,
        exposures.variant_id,
        metrics.metric_id,
        case
            when crossovers.age <= metrics.closes then null
            else least(cast(coalesce(counted.event_count, 0) as double precision), metrics.most)
        end as value,
        cast(coalesce(counted.denominator_count, 0) as double precision) as denominator,
        least(cast(coalesce(counted.pre_count, 0) as double precision), metrics.most) as pre_value
    from exposures
    cross join (
        select
            metric_id,
            closes,
            case measure when 'any' then 1 else cap end as most
        from metrics
    ) as metrics
    left join counted
        on
            counted.exposure_id = exposures.exposure_id
            and counted.metric_id = metrics.metric_id
    left join crossovers on crossovers.exposure_id = exposures.exposure_id

),

cohorts as (

    select
        day,
        experiment_id,
        variant_id,
        metric_id,
        count(value) as users,
        count(*) - count(value) as crossover_users,
        regr_avgy(value, pre_value) as mean,
        regr_syy(value, pre_value) as m2,
        regr_avgx(value, pre_value) as pre_mean,
        regr_sxx(value, pre_value) as pre_m2,
        regr_sxy(value, pre_value) as pre_comoment,
        regr_avgx(value, denominator) as denominator_mean,
        regr_sxx(value, denominator) as denominator_m2,
        regr_sxy(value, denominator) as denominator_comoment
    from measured
    group by 1, 2, 3, 4

),

final as (

    select
        days.day,
        {{ id_key('variants.experiment_id') }} as experiment_id,
        {{ id_key('variants.variant_id') }} as variant_id,
        metrics.metric_name,
        cast(coalesce(cohorts.users, 0) as integer) as users,
        cast(coalesce(cohorts.crossover_users, 0) as integer) as crossover_users,
        coalesce(cohorts.mean, 0) as mean,
        coalesce(cohorts.m2, 0) as m2,
        {%- for column in ('denominator_mean', 'denominator_m2', 'denominator_comoment') %}
        case when metrics.measure = 'ratio' then coalesce(cohorts.{{ column }}, 0) end as {{ column }},
        {%- endfor %}
        {%- for column in ('pre_mean', 'pre_m2', 'pre_comoment') %}
        case when metrics.measure <> 'ratio' then coalesce(cohorts.{{ column }}, 0) end as {{ column }},
        {%- endfor %}
        matures.matures_at,
        matures.matures_at <= {{ utc_literal(as_of()) }} as is_final,
        current_timestamp as computed_at
    from days
    cross join variants
    cross join metrics
    cross join lateral (
        select cast(days.day + 1 as timestamp) at time zone 'UTC' + metrics.closes as matures_at
    ) as matures
    left join cohorts
        on
            cohorts.day = days.day
            and cohorts.experiment_id = variants.experiment_id
            and cohorts.variant_id = variants.variant_id
            and cohorts.metric_id = metrics.metric_id

)

select * from final
