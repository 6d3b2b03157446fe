with catalog as (

    select * from {{ ref('experiment_catalog') }}

),

arms as (

    select * from {{ ref('int_experiment_arms') }}

),

metrics as (

    select * from {{ ref('experiment_metrics') }}

),

-- Counts are those of the metric with the longest span, which sees most crossovers.
stored as (

    select *
    from {{ ref('experiment_statistics') }}
    where metric_name = (
        select metric_name
        from metrics
        order by delay_hours + window_hours desc, metric_name {{- by_bytes() }}
        limit 1
    )

),

counts as (

    select
        experiment_id,
        variant_id,
        sum(users) as users,
        sum(crossover_users) as crossover_users
    from stored
    group by 1, 2

),

all_counts as (

    select
        arms.*,
        coalesce(counts.users, 0) as users,
        coalesce(counts.crossover_users, 0) as crossover_users,
        sum(counts.users) filter (where arms.weight > 0) over experiment as all_users
    from arms
    left join counts
        on
            counts.experiment_id = arms.experiment_id
            and counts.variant_id = arms.variant_id
    window experiment as (partition by arms.experiment_id)

),

shares as (

    select
        *,
        case
            when weight > 0 then users / nullif({{ cast_as('all_users', 'double precision') }}, 0)
        end as share
    from all_counts

),

splits as (

    select
        experiment_id,
        min(control_variant_id) as control_variant_id,
        min(comparisons) as comparisons,
        coalesce(sum(users) filter (where weight > 0), 0) as users,
        sum(crossover_users) as crossover_users,
        sum(crossover_users) / nullif(
            {{ cast_as('sum(users + crossover_users)', 'double precision') }}, 0
        ) as crossover_share,
        {{ json_objects({
            'variant_id': 'variant_id',
            'users': 'users',
            'crossover_users': 'crossover_users',
            'weight': 'weight',
            'expected_share': 'expected_share',
            'share': 'share',
        }, ['variant_id']) }} as variants,
        count(weight) as weighted_variants,
        sum(
            power(users - all_users * expected_share, 2) / nullif(all_users * expected_share, 0)
        ) as chi2,
        max(abs(share - expected_share)) as share_off
    from shares
    group by 1

),

-- The tail of chi² for a whole number of degrees of freedom: a finite series, whose terms are
-- computed by their logarithms. Abramowitz and Stegun, 26.4.4 and 26.4.5.
chi2 as (

    select
        experiment_id,
        chi2,
        sqrt(chi2) as chi,
        weighted_variants - 1 as df,
        {{ cast_as('mod(weighted_variants - 1, 2)', 'double precision') }} / 2 as half
    from splits
    where weighted_variants >= 2 and users > 0

),

terms as (

    select
        chi2.experiment_id,
        (place - chi2.half) * ln(chi2.chi2 / 2) - chi2.chi2 / 2
        - sum(ln(place - chi2.half)) over (partition by chi2.experiment_id order by place)
        - chi2.half * ln(pi()) as log_term
    from chi2
    cross join lateral {{ series(1, '(chi2.df - 1) / 2', 'place') }}
    where chi2.chi2 > 0

),

series as (

    select
        experiment_id,
        sum(exp(greatest(log_term, -700))) as value
    from terms
    group by 1

),

ratios as (

    select
        chi2.experiment_id,
        chi2.df,
        least(
            coalesce(series.value, 0) + case
                when chi2.half = 0 then exp(greatest(-chi2.chi2 / 2, -700))
                else 2 * {{ normal_tail('chi2.chi') }}
            end,
            1
        ) as p
    from chi2
    left join series on series.experiment_id = chi2.experiment_id

),

before as (

    select
        pooled.experiment_id,
        pooled.variant_id,
        pooled.metric_name,
        pooled.users,
        pooled.pre_mean,
        pooled.pre_m2 / nullif(pooled.users - 1, 0) / pooled.users as spread
    from {{ pooled_days('days.users > 0') }} as pooled
    where
        pooled.role in ('goal', 'guardrail')
        and pooled.measure <> 'ratio'
        and pooled.users >= 30

),

differences as {{ materialized() }} (

    select
        arms.experiment_id,
        abs(variant.pre_mean - control.pre_mean) as difference,
        control.spread + variant.spread as spread,
        {{ welch_df('control.spread', 'control.users', 'variant.spread', 'variant.users') }} as df
    from arms
    inner join before as control
        on
            control.experiment_id = arms.experiment_id
            and control.variant_id = arms.control_variant_id
    inner join before as variant
        on
            variant.experiment_id = arms.experiment_id
            and variant.variant_id = arms.variant_id
            and variant.metric_name = control.metric_name
    where not arms.is_control

),

ratios_of_t as {{ materialized() }} (

    select
        experiment_id,
        difference,
        df,
        difference * difference / nullif(spread, 0) / df as ratio
    from differences

),

logarithms as {{ materialized() }} (

    select
        experiment_id,
        difference,
        df,
        {{ ln_1_plus('ratio') }} as spread
    from ratios_of_t

),

normal as {{ materialized() }} (

    select
        experiment_id,
        difference,
        {{ student_z('spread', 'df') }} as z
    from logarithms

),

pre_differences as (

    select
        experiment_id,
        -- Without variance, any difference is certain.
        min(case when z is null and difference > 0 then 0 else 2 * {{ normal_tail('z') }} end) as p
    from normal
    group by 1

),

exposed_days as (

    select
        {{ id_key('days.experiment_id') }} as experiment_id,
        days.day
    from (
        select distinct
            experiment_id,
            {{ day_of('exposed_at') }} as day
        from {{ ref('int_exposures') }}
    ) as days
    where days.day <= '{{ today(as_of()) }}'

),

missing_days as (

    select
        exposed_days.experiment_id,
        min(exposed_days.day) filter (
            where exposed_days.day >= cast('{{ today(as_of()) }}' as date) - 179
        ) as complete_from
    from exposed_days
    where
        not exists (
            select 1
            from stored
            where
                stored.experiment_id = exposed_days.experiment_id
                and stored.day = exposed_days.day
        )
    group by 1

),

covered as (

    select
        experiment_id,
        min(day) as covers_from
    from stored
    group by 1

),

final as (

    select
        catalog.experiment_id,
        splits.control_variant_id,
        cast(coalesce(splits.users, 0) as bigint) as users,
        coalesce(splits.variants, '[]') as variants,
        {{ computed('splits.chi2') }} as srm_chi2,
        cast(ratios.df as integer) as srm_df,
        {{ computed('ratios.p') }} as srm_p,
        case
            when coalesce(splits.users, 0) < greatest(8 * splits.weighted_variants, 100)
                then 'too_few'
            when ratios.p < 0.001 and splits.share_off >= 0.001 then 'mismatch'
            when ratios.p < 0.01 then 'warn'
            else 'ok'
        end as srm,
        cast(coalesce(splits.crossover_users, 0) as bigint) as crossover_users,
        splits.crossover_share,
        case
            when splits.crossover_share >= 0.01 and splits.crossover_users >= 10 then 'alarm'
            when splits.crossover_share >= 0.001 then 'warn'
            else 'ok'
        end as crossover,
        {{ computed('pre_differences.p') }} as pre_difference_p,
        case
            when
                pre_differences.p * splits.comparisons * (
                    select count(*) from metrics where role in ('goal', 'guardrail')
                ) < 0.001
                then 'alarm'
            else 'ok'
        end as pre_difference,
        covered.covers_from,
        missing_days.complete_from,
        missing_days.experiment_id is null as is_complete,
        current_timestamp as computed_at
    from catalog
    left join splits on splits.experiment_id = catalog.experiment_id
    left join ratios on ratios.experiment_id = catalog.experiment_id
    left join pre_differences on pre_differences.experiment_id = catalog.experiment_id
    left join covered on covered.experiment_id = catalog.experiment_id
    left join missing_days on missing_days.experiment_id = catalog.experiment_id

)

select * from final
