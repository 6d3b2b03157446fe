with days as (

    {{ window_spine() }}

),

variants as (

    select
        experiment_id,
        variant_id,
        -- Grouping events by numbers is faster than by names.
        row_number() over (order by experiment_id, variant_id) as arm_id
    from {{ ref('int_variants_in_scope') }}
    {{ computed_once('where') }}

),

metrics as (

    select
        *,
        row_number() over (order by metric_name) as metric_id,
        delay_hours * interval '1 hour' as opens,
        (delay_hours + window_hours) * interval '1 hour' as closes,
        cast(case measure when 'any' then 1 else cap end as bigint) as most
    from {{ ref('experiment_metrics') }}
    {{ computed_once('where') }}

),

metric_events as (

    select * from {{ ref('int_metric_events') }}

),

wanted as {{ materialized() }} (

    select
        metrics.metric_id,
        metric_events.is_denominator,
        metric_events.event_name,
        metrics.opens,
        metrics.closes,
        metrics.measure = 'any' and metric_events.event_name is null as is_open_below
    from metrics
    inner join metric_events
        on metric_events.metric_name = metrics.metric_name

),

-- Views may contain a row twice.
window_exposures as (

    select distinct
        experiment_id,
        variant_id,
        anonymous_user_id,
        exposed_at
    from {{ ref('int_exposures') }}
    where
        exposed_at >= {{ utc_literal(window_start()) }}
        and exposed_at < {{ utc_literal(window_end()) }}

),

exposures as (

    select
        exposures.*,
        {{ day_of('exposures.exposed_at') }} as day,
        variants.arm_id,
        {{ row_id([
            'exposures.experiment_id', 'exposures.variant_id', 'exposures.anonymous_user_id',
            'exposures.exposed_at'
        ]) }} as exposure_id
    from window_exposures as exposures
    inner join variants
        on
            variants.experiment_id = exposures.experiment_id
            and variants.variant_id = exposures.variant_id
    {{ computed_once('where') }}

),

exposure_counts as (

    select
        day,
        arm_id,
        count(*) as users
    from exposures
    group by 1, 2

),

events as (

    select * from {{ events(before_exposure(), after_exposure()) }} as events

),

user_events as (

    select
        exposures.exposure_id,
        exposures.day,
        exposures.arm_id,
        events.event_name,
        events.occurred_at - exposures.exposed_at as age,
        case
            when events.occurred_at >= exposures.exposed_at
                then {{ other_variant(
                    'events', 'exposures.experiment_id', 'exposures.variant_id'
                ) }}
        end as other_variant
    from events
    inner join exposures
        on exposures.anonymous_user_id = {{ text_id('events.anonymous_user_id') }}
    -- Keeps the planner from multiplying the events by the metrics before this join.
    limit all offset 0

),

-- Metric 0 stands for events that name another variant.
{%- set changed = 'user_events.other_variant is not null' %}
{%- set matches %}
    (metrics.event_name = user_events.event_name or metrics.event_name is null)
    and (
        (
            user_events.age between metrics.opens and metrics.closes
            and not (metrics.is_open_below and user_events.age = metrics.opens)
        )
        or (
            user_events.age < interval '0 days'
            and user_events.age >= interval '-14 days'
        )
    )
{%- endset %}

counted as (

    select
        user_events.exposure_id,
        user_events.day,
        user_events.arm_id,
        wanted.metric_id,
        case when wanted.metric_id = 0 then user_events.other_variant end as other_variant,
        min(user_events.age) as age,
        count(*) filter (
            where user_events.age >= interval '0 days' and not wanted.is_denominator
        ) as event_count,
        count(*) filter (
            where user_events.age >= interval '0 days' and wanted.is_denominator
        ) as denominator_count,
        count(*) filter (
            where user_events.age < interval '0 days' and not wanted.is_denominator
        ) as pre_count
    from user_events
    {{ join_matching(
        'wanted',
        {'metric_id': '0', 'is_denominator': 'false'},
        ['event_name', 'opens', 'closes', 'is_open_below'],
        matches,
        changed
    ) }}
    group by 1, 2, 3, 4, 5
    {{ computed_once('having') }}

),

crossovers as (

    select
        counted.exposure_id,
        counted.day,
        counted.arm_id,
        min(counted.age) as age
    from counted
    inner join variants on variants.arm_id = counted.arm_id
    inner join variants as others
        on
            others.experiment_id = variants.experiment_id
            and others.variant_id = counted.other_variant
    where counted.metric_id = 0
    group by 1, 2, 3

),

crossover_counts as (

    select
        crossovers.day,
        crossovers.arm_id,
        metrics.metric_id,
        count(*) as users
    from crossovers
    inner join metrics on metrics.closes >= crossovers.age
    group by 1, 2, 3

),

measured as (

    select
        counted.day,
        counted.arm_id,
        counted.metric_id,
        least(counted.event_count, metrics.most) as value,
        least(counted.pre_count, metrics.most) as pre_value,
        counted.denominator_count as denominator
    from counted
    inner join metrics on metrics.metric_id = counted.metric_id
    left join crossovers on crossovers.exposure_id = counted.exposure_id
    where crossovers.age is null or crossovers.age > metrics.closes

),

-- Sums of whole numbers are exact in any order. Users with nothing to count add nothing to them.
sums as (

    select
        day,
        arm_id,
        metric_id,
        {{ exact_sum('value') }} as value,
        {{ exact_sum('value * value') }} as value_squares,
        {{ exact_sum('pre_value') }} as pre,
        {{ exact_sum('pre_value * pre_value') }} as pre_squares,
        {{ exact_sum('value * pre_value') }} as pre_products,
        {{ exact_sum('denominator') }} as denominator,
        {{ exact_sum('denominator * denominator') }} as denominator_squares,
        {{ exact_sum('value * denominator') }} as denominator_products
    from measured
    group by 1, 2, 3

),

cells as (

    select
        days.day,
        variants.experiment_id,
        variants.variant_id,
        metrics.metric_name,
        metrics.measure,
        {{ end_of_day('days.day') }} + metrics.closes as matures_at,
        coalesce(crossover_counts.users, 0) as crossover_users,
        coalesce(exposure_counts.users, 0) - coalesce(crossover_counts.users, 0) as users,
        sums.value,
        sums.value_squares,
        sums.pre,
        sums.pre_squares,
        sums.pre_products,
        sums.denominator,
        sums.denominator_squares,
        sums.denominator_products
    from days
    cross join variants
    cross join metrics
    left join exposure_counts
        on exposure_counts.day = days.day and exposure_counts.arm_id = variants.arm_id
    left join crossover_counts
        on
            crossover_counts.day = days.day
            and crossover_counts.arm_id = variants.arm_id
            and crossover_counts.metric_id = metrics.metric_id
    left join sums
        on
            sums.day = days.day
            and sums.arm_id = variants.arm_id
            and sums.metric_id = metrics.metric_id

),

final as (

    select
        day,
        {{ id_key('experiment_id') }} as experiment_id,
        {{ id_key('variant_id') }} as variant_id,
        metric_name,
        cast(users as integer) as users,
        cast(crossover_users as integer) as crossover_users,
        {{ mean_of('value') }} as mean,
        {{ deviations_of('value_squares', 'value', 'value') }} as m2,
        {%- for name, measure in (('denominator', "= 'ratio'"), ('pre', "<> 'ratio'")) %}
            case when measure {{ measure }} then {{ mean_of(name) }} end as {{ name }}_mean,
            case
                when measure {{ measure }} then {{ deviations_of(name ~ '_squares', name, name) }}
            end as {{ name }}_m2,
            case
                when measure {{ measure }}
                    then {{ deviations_of(name ~ '_products', 'value', name) }}
            end as {{ name }}_comoment,
        {%- endfor %}
        matures_at,
        matures_at <= {{ utc_literal(as_of()) }} as is_final,
        current_timestamp as computed_at
    from cells

)

select * from final
