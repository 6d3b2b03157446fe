{#-
    A subquery of the stored days of `experiment_statistics`, pooled into one row per experiment,
    variant and metric. The squares are summed around the mean of all days, as Chan, Golub and
    LeVeque (1983) do; a difference of large sums would lose the digits of a small variance. So the
    table is read twice. A row number keeps the second pass from grouping by three texts again.
-#}
{% macro pooled_days(statistics, condition) -%}
    (
        with means as (

            select
                experiment_id,
                variant_id,
                metric_name,
                row_number() over () as place,
                sum(users) as users,
                count(*) as day_count,
                min(day) as first_day,
                max(day) as last_day,
                sum(users * mean) / sum(users) as mean,
                sum(users * denominator_mean) / sum(users) as denominator_mean,
                sum(users * pre_mean) / sum(users) as pre_mean
            from {{ statistics }} as days
            where {{ condition }}
            group by 1, 2, 3

        ),

        squares as (

            select
                means.place,
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
            inner join means
                on
                    means.experiment_id = days.experiment_id
                    and means.variant_id = days.variant_id
                    and means.metric_name = days.metric_name
            where {{ condition }}
            group by 1

        )

        select
            means.*,
            squares.m2,
            squares.denominator_m2,
            squares.denominator_comoment,
            squares.pre_m2,
            squares.pre_comoment
        from means
        inner join squares on squares.place = means.place
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
