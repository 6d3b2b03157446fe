{#-
    A subquery of the stored days of `experiment_statistics`, pooled into one row per experiment,
    variant and metric. The squares of an `any` metric follow from its means. Others are summed
    around the mean of all days, as Chan, Golub and LeVeque (1983) do, because a difference of large
    sums would lose the digits of a small variance; so their days are read twice.
-#}
{% macro pooled_days(condition) -%}
    {%- set statistics = '(select * from ' ~ ref('experiment_statistics') ~ ')' -%}
    {%- set metrics = '(select * from ' ~ ref('experiment_metrics') ~ ')' -%}
    {%- set others -%}
        days.metric_name in (select metric_name from {{ metrics }} as metrics where measure <> 'any')
    {%- endset -%}
    {%- set means -%}
        sum(days.users * days.mean) / sum(days.users) as mean,
        sum(days.users * days.denominator_mean) / sum(days.users) as denominator_mean,
        sum(days.users * days.pre_mean) / sum(days.users) as pre_mean
    {%- endset -%}
    (
        with totals as (

            select
                days.experiment_id,
                days.variant_id,
                days.metric_name,
                sum(days.users) as users,
                count(*) as day_count,
                min(days.day) as first_day,
                max(days.day) as last_day,
                sum(days.pre_comoment + days.users * days.mean * days.pre_mean) as pre_products,
                {{ means }}
            from {{ statistics }} as days
            where {{ condition }}
            group by 1, 2, 3

        ),

        squares as (

            select
                days.experiment_id,
                days.variant_id,
                days.metric_name,
                {%- for a, b, name in (
                    ('mean', 'mean', 'm2'),
                    ('denominator_mean', 'denominator_mean', 'denominator_m2'),
                    ('mean', 'denominator_mean', 'denominator_comoment'),
                    ('pre_mean', 'pre_mean', 'pre_m2'),
                    ('mean', 'pre_mean', 'pre_comoment'),
                ) %}
                sum(
                    days.{{ name }} + days.users
                    * (days.{{ a }} - means.{{ a }}) * (days.{{ b }} - means.{{ b }})
                ) as {{ name }}{{ ',' if not loop.last }}
                {%- endfor %}
            from {{ statistics }} as days
            inner join (
                select
                    days.experiment_id,
                    days.variant_id,
                    days.metric_name,
                    {{ means }}
                from {{ statistics }} as days
                where {{ condition }} and {{ others }}
                group by 1, 2, 3
            ) as means
                on
                    means.experiment_id = days.experiment_id
                    and means.variant_id = days.variant_id
                    and means.metric_name = days.metric_name
            where {{ condition }} and {{ others }}
            group by 1, 2, 3

        )

        select
            totals.*,
            metrics.measure,
            metrics.role,
            squares.denominator_m2,
            squares.denominator_comoment,
            {%- for column, of_shares in {
                'm2': 'totals.users * totals.mean * (1 - totals.mean)',
                'pre_m2': 'totals.users * totals.pre_mean * (1 - totals.pre_mean)',
                'pre_comoment':
                    'totals.pre_products - totals.users * totals.mean * totals.pre_mean',
            }.items() %}
            case when metrics.measure = 'any' then {{ of_shares }} else squares.{{ column }} end
                as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from totals
        inner join {{ metrics }} as metrics on metrics.metric_name = totals.metric_name
        left join squares
            on
                squares.experiment_id = totals.experiment_id
                and squares.variant_id = totals.variant_id
                and squares.metric_name = totals.metric_name
    )
{%- endmacro %}

{#-
    Welch's degrees of freedom, of the two arms' variances divided by their users. Null if both are
    0.
-#}
{% macro welch_df(control, users_of_control, variant, users_of_variant) -%}
    power({{ control }} + {{ variant }}, 2) / nullif(
        power({{ control }}, 2) / ({{ users_of_control }} - 1)
        + power({{ variant }}, 2) / ({{ users_of_variant }} - 1),
        0
    )
{%- endmacro %}

{#- A variance, from what it is the difference of. What rounding alone leaves is no variance. -#}
{% macro remainder(whole, part) -%}
    case
        when {{ whole }} - {{ part }} > 1e-12 * ({{ whole }}) then {{ whole }} - {{ part }}
        else 0
    end
{%- endmacro %}

{#-
    A computed number. dbt's unit tests compare all digits, but the last ones depend on the machine,
    so there it is rounded to the nine decimals that the distributions promise.
-#}
{% macro computed(number) -%}
    {%- if model.resource_type == 'unit_test' -%}
        cast(round(cast({{ number }} as numeric), 9) as double precision)
    {%- else -%}
        {{ number }}
    {%- endif -%}
{%- endmacro %}
