with arms as (

    select * from {{ ref('int_experiment_arms') }}

),

health as (

    select
        experiment_id,
        'alarm' in (crossover, pre_difference) or srm = 'mismatch' as is_blocked
    from {{ ref('experiment_health') }}

),

metrics as (

    select * from {{ ref('experiment_metrics') }}

),

totals as (

    select
        *,
        case measure when 'ratio' then mean / nullif(denominator_mean, 0) else mean end as value,
        -- A share's variances are divided by all users.
        nullif(case measure when 'any' then users else users - 1 end, 0) as divisor
    from {{ pooled_days('days.is_final and days.users > 0') }} as pooled

),

-- The variance of one user's value; of a ratio, by the delta method.
figures as (

    select
        *,
        case measure
            when 'any' then value * (1 - value)
            when 'count' then m2 / divisor
            else
                {{ remainder(
                    'm2 + value * value * denominator_m2', '2 * value * denominator_comoment'
                ) }} / divisor / nullif(denominator_mean * denominator_mean, 0)
        end as variance,
        pre_m2 / divisor as pre_variance,
        pre_comoment / divisor as pre_covariance
    from totals

),

-- n, y and v are users, value and variance, 0 of the control and 1 of the variant; a and b are the
-- squared standard errors of both values.
pairs as {{ materialized() }} (

    select
        arms.experiment_id,
        metrics.*,
        arms.variant_id,
        arms.control_variant_id,
        arms.comparisons,
        0.05 / nullif(arms.comparisons, 0) as alpha,
        coalesce(variant.users, 0) as n1,
        case when arms.control_variant_id is not null then coalesce(control.users, 0) end as n0,
        variant.value as y1,
        control.value as y0,
        variant.variance as v1,
        control.variance as v0,
        control.variance / control.users as a,
        variant.variance / variant.users as b,
        variant.pre_mean as x1,
        control.pre_mean as x0,
        variant.pre_variance as w1,
        control.pre_variance as w0,
        variant.pre_covariance as c1,
        control.pre_covariance as c0,
        control.pre_comoment + variant.pre_comoment as comoment,
        control.pre_m2 + variant.pre_m2 as pre_m2,
        control.users / (
            1 + {{ cast_as('control.users', 'double precision') }} / variant.users
        ) as between,
        least(control.first_day, variant.first_day) as first_day,
        greatest(control.last_day, variant.last_day) as last_day,
        coalesce(greatest(control.day_count, variant.day_count), 0) as cohort_days,
        case
            when arms.control_variant_id is null then 'no_control'
            when least(coalesce(control.users, 0), coalesce(variant.users, 0)) < 30 then 'too_few'
            when control.value is null or variant.value is null then 'zero_denominator'
            when control.value = 0 then 'zero_control'
            when
                not control.variance + variant.variance > 0
                or not control.variance * abs(variant.value) + variant.variance > 0
                then 'zero_variance'
            else 'ok'
        end as status
    from arms
    cross join metrics
    left join figures as variant
        on
            variant.experiment_id = arms.experiment_id
            and variant.variant_id = arms.variant_id
            and variant.metric_name = metrics.metric_name
    left join figures as control
        on
            control.experiment_id = arms.experiment_id
            and control.variant_id = arms.control_variant_id
            and control.metric_name = metrics.metric_name
    where not arms.is_control

),

-- theta is that of all users of both arms, as one sample.
effects as {{ materialized() }} (

    select
        *,
        y1 - y0 as difference,
        sqrt(a + b) as error,
        {{ welch_df('a', 'n0', 'b', 'n1') }} as df,
        (y1 - y0) / abs(y0) as lift,
        sqrt(b + a * power(y1 / y0, 2)) / abs(y0) as lift_error,
        coalesce(
            (comoment + between * (y1 - y0) * (x1 - x0))
            / nullif(pre_m2 + between * power(x1 - x0, 2), 0),
            0
        ) as theta,
        (2 * -ln(alpha) + ln(1 - 2 * ln(alpha))) / 5000 * (n0 + n1) as spending
    from pairs
    where status = 'ok'

),

adjusted as {{ materialized() }} (

    select
        *,
        difference - theta * (x1 - x0) as cuped_difference,
        {{ remainder('v0 + theta * theta * w0', '2 * theta * c0') }} / n0 as cuped_a,
        {{ remainder('v1 + theta * theta * w1', '2 * theta * c1') }} / n1 as cuped_b,
        {{ remainder(
            'v0 * power(y1 / y0, 2) + theta * theta * w0', '2 * theta * c0 * y1 / y0'
        ) }} / n0 as cuped_lift_a,
        power(difference / error, 2) / df as ratio,
        abs(lift / lift_error) as lift_z
    from effects

),

tests as {{ materialized() }} (

    select
        *,
        cuped_difference / abs(y0) as cuped_lift,
        sqrt(cuped_lift_a + cuped_b) / abs(y0) as cuped_error,
        {{ welch_df('cuped_a', 'n0', 'cuped_b', 'n1') }} as cuped_df,
        {{ ln_1_plus('ratio') }} as spread,
        {{ student_exponent('df') }} as exponent,
        {{ normal_tail('lift_z') }} as lift_tail,
        lift_error * sqrt(
            2 * (spending + 1) / spending * (ln(spending + 1) / 2 - ln(alpha))
        ) as always_margin,
        least(
            comparisons * least(
                sqrt(spending + 1)
                * exp(greatest(-spending * lift_z * lift_z / (2 * (spending + 1)), -700)),
                1
            ),
            1
        ) as p_always
    from adjusted

),

quantiles as {{ materialized() }} (

    select
        *,
        {{ student_z('spread', 'df') }} as z,
        {{ student_quantile('exponent', 'df') }} as quantile,
        {{ student_exponent('cuped_df') }} as cuped_exponent,
        (1.959963984540054 + 0.8416212335729143) * lift_error as mde
    from tests

),

p_values as {{ materialized() }} (

    select
        *,
        {{ student_quantile('cuped_exponent', 'cuped_df') }} as cuped_quantile,
        2 * {{ normal_tail('z') }} as p_value
    from quantiles

),

ranked as (

    select
        *,
        row_number() over family as place,
        count(*) over (partition by experiment_id, role) as family_size
    from p_values
    window family as (partition by experiment_id, role order by p_value nulls last)

),

-- Holm (1979): a p-value is never below that of a stronger result.
corrected as (

    select
        *,
        case
            when role = 'goal' then least(
                max(p_value * (family_size - place + 1)) over (
                    partition by experiment_id, role order by place
                ),
                1
            )
        end as p_holm
    from ranked

),

final as (

    select
        pairs.experiment_id,
        pairs.metric_name,
        pairs.variant_id,
        pairs.control_variant_id,
        pairs.measure,
        pairs.event_name,
        pairs.denominator_event_name,
        pairs.delay_hours,
        pairs.window_hours,
        pairs.cap,
        pairs.desired,
        pairs.role,
        pairs.n1 as users,
        pairs.n0 as control_users,
        {{ computed('pairs.y1') }} as value,
        {{ computed('pairs.y0') }} as control_value,
        {%- for name, number in {
            'difference': 'difference',
            'difference_low': 'difference - corrected.quantile * corrected.error',
            'difference_high': 'difference + corrected.quantile * corrected.error',
            'p_value': 'p_value',
            'lift': 'lift',
            'lift_low': 'lift - corrected.quantile * corrected.lift_error',
            'lift_high': 'lift + corrected.quantile * corrected.lift_error',
            'lift_always_low': 'lift - corrected.always_margin',
            'lift_always_high': 'lift + corrected.always_margin',
            'p_always': 'p_always',
        }.items() %}
            {{ computed('corrected.' ~ number) }} as {{ name }},
        {%- endfor %}
        -- Null also where the past explains all, so that nothing is left to test.
        {%- for name, sql in {
            'cuped_lift': 'corrected.cuped_lift',
            'cuped_lift_low':
                'corrected.cuped_lift - corrected.cuped_quantile * corrected.cuped_error',
            'cuped_lift_high':
                'corrected.cuped_lift + corrected.cuped_quantile * corrected.cuped_error',
            'variance_reduction': '1 - power(corrected.cuped_error / corrected.lift_error, 2)',
        }.items() %}
            {{ computed('case when corrected.cuped_df > 0 then ' ~ sql ~ ' end') }} as {{ name }},
        {%- endfor %}
        {{ computed('corrected.p_holm') }} as p_holm,
        {{ computed(
            "case when (corrected.lift > 0) = (pairs.desired = 'increase')"
            ~ " then 1 - corrected.lift_tail else corrected.lift_tail end"
        ) }} as chance_to_win,
        {{ computed('corrected.mde') }} as mde,
        {{ computed(
            'case when corrected.mde > 0.1 then (pairs.n0 + pairs.n1)'
            ~ ' * (power(corrected.mde / 0.1, 2) - 1) when corrected.mde <= 0.1 then 0 end'
        ) }} as users_to_detect,
        pairs.first_day,
        pairs.last_day,
        cast(pairs.cohort_days as integer) as cohort_days,
        pairs.status,
        case
            when health.is_blocked then 'blocked'
            when pairs.status <> 'ok' or pairs.cohort_days < 7 then 'wait'
            when
                pairs.measure = 'any'
                and round(greatest(pairs.n1 * pairs.y1, pairs.n0 * pairs.y0)) < 150
                then 'wait'
            when corrected.lift - corrected.always_margin > 0
                then case pairs.desired when 'increase' then 'better' else 'worse' end
            when corrected.lift + corrected.always_margin < 0
                then case pairs.desired when 'increase' then 'worse' else 'better' end
            else 'no_difference_yet'
        end as verdict,
        current_timestamp as computed_at
    from pairs
    left join health on health.experiment_id = pairs.experiment_id
    left join corrected
        on
            corrected.experiment_id = pairs.experiment_id
            and corrected.metric_name = pairs.metric_name
            and corrected.variant_id = pairs.variant_id

)

select * from final
