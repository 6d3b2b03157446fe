{#-
    Tails of distributions in plain arithmetic: PostgreSQL 15 has neither erf nor lgamma. Each
    argument is repeated many times, so pass a column, not an expression. Nothing here underflows,
    which PostgreSQL takes for an error.
-#}

{#-
    P(Z > x) of the standard normal distribution, x >= 0; to 1e-15. Hart (1968), as given in
    West, "Better approximations to cumulative normal functions", Wilmott magazine (2005).
-#}
{% macro normal_tail(x) -%}
    {{ return(adapter.dispatch('normal_tail', 'analytics_rollups')(x)) }}
{%- endmacro %}

{% macro default__normal_tail(x) -%}
    case
        when {{ x }} < 7.07106781186547 then
            exp(-{{ x }} * {{ x }} / 2) * (
                (((((
                    0.0352624965998911 * {{ x }} + 0.700383064443688
                ) * {{ x }} + 6.37396220353165
                ) * {{ x }} + 33.912866078383
                ) * {{ x }} + 112.079291497871
                ) * {{ x }} + 221.213596169931
                ) * {{ x }} + 220.206867912376
            ) / (
                ((((((
                    0.0883883476483184 * {{ x }} + 1.75566716318264
                ) * {{ x }} + 16.064177579207
                ) * {{ x }} + 86.7807322029461
                ) * {{ x }} + 296.564248779674
                ) * {{ x }} + 637.333633378831
                ) * {{ x }} + 793.826512519948
                ) * {{ x }} + 440.413735824752
            )
        when {{ x }} < 37 then
            exp(-{{ x }} * {{ x }} / 2) / 2.506628274631
            / ({{ x }} + 1 / ({{ x }} + 2 / ({{ x }} + 3 / ({{ x }} + 4 / ({{ x }} + 0.65)))))
        when {{ x }} >= 37 then 0
    end
{%- endmacro %}

{#-
    The z whose normal tail is Student's tail of t, given `spread` = ln(1 + t²/df); to 2e-12 from
    29 degrees of freedom on. Hill, CACM algorithm 395 (1970).
-#}
{% macro student_z(spread, df) -%}
    {{ return(adapter.dispatch('student_z', 'analytics_rollups')(spread, df)) }}
{%- endmacro %}

{% macro default__student_z(spread, df) -%}
    {%- set y = '(' ~ df ~ ' - 0.5) * ' ~ spread -%}
    {%- set b = '48 * (' ~ df ~ ' - 0.5) * (' ~ df ~ ' - 0.5)' -%}
    sqrt({{ y }}) * (
        1 + (
            3 + {{ y }} + (((-0.4 * {{ y }} - 3.3) * {{ y }} - 24) * {{ y }} - 85.5)
            / (0.8 * {{ y }} * {{ y }} + 100 + {{ b }})
        ) / ({{ b }})
    )
{%- endmacro %}

{#- ln(1 + x), x >= 0. The series keeps the digits of a small x, which `1 + x` would lose. -#}
{% macro ln_1_plus(x) -%}
    {{ return(adapter.dispatch('ln_1_plus', 'analytics_rollups')(x)) }}
{%- endmacro %}

{% macro default__ln_1_plus(x) -%}
    case
        when {{ x }} < 0.001
            then {{ x }} * (1 - {{ x }} * (1.0 / 2 - {{ x }} * (1.0 / 3 - {{ x }} * (0.25 - {{ x }} / 5))))
        else ln(1 + {{ x }})
    end
{%- endmacro %}

{% macro spark__ln_1_plus(x) -%}
    log1p({{ x }})
{%- endmacro %}

{#-
    Student's t with 2.5 % above it, from its `exponent`; to 1e-9 from 29 degrees of freedom on.
    Hill, CACM algorithm 396 (1970), for this one probability: 1.96 is its normal quantile.
-#}
{% macro student_quantile(exponent, df) -%}
    {{ return(adapter.dispatch('student_quantile', 'analytics_rollups')(exponent, df)) }}
{%- endmacro %}

{% macro default__student_quantile(exponent, df) -%}
    {#- 2 exp(y / 2) sinh(y / 2) is exp(y) - 1 without its loss of digits. -#}
    sqrt({{ df }} * 2 * exp({{ exponent }} / 2) * sinh({{ exponent }} / 2))
{%- endmacro %}

{% macro student_exponent(df) -%}
    {{ return(adapter.dispatch('student_exponent', 'analytics_rollups')(df)) }}
{%- endmacro %}

{% macro default__student_exponent(df) -%}
    {%- set x = -1.959963984540054 -%}
    {%- set a = '(1/(' ~ df ~ '-0.5))' -%}
    {%- set b = '(48*power(' ~ df ~ '-0.5,2))' -%}
    {%- set c = '(((20700*' ~ a ~ '/' ~ b ~ '-98)*' ~ a ~ '-16)*' ~ a ~ '+96.36)' -%}
    {%- set d = '((94.5/(' ~ b ~ '+' ~ c ~ ')-3)/' ~ b ~ '+1)*sqrt(' ~ a ~ '*pi()/2)*' ~ df -%}
    {%- set e = '(' ~ 0.05 * x ** 4 ~ '*' ~ d ~ '+' ~ (((-5 * x - 7) * x - 2) * x) ~ '+' ~ b
        ~ '+' ~ c ~ ')' -%}
    {%- set f = (((0.4 * x ** 2 + 6.3) * x ** 2 + 36) * x ** 2 + 94.5) -%}
    {{- a ~ '*power(' ~ -x ~ '*((' ~ f ~ '/' ~ e ~ '-' ~ (x ** 2 + 3) ~ ')/' ~ b ~ '+1),2)' -}}
{%- endmacro %}

{#-
    For a CTE whose columns such arguments are. PostgreSQL would otherwise merge the CTEs and
    expand a tail within a tail.
-#}
{% macro materialized() -%}
    {{ return(adapter.dispatch('materialized', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__materialized() -%}
{%- endmacro %}

{% macro postgres__materialized() -%}
    materialized
{%- endmacro %}

{#- For one that PostgreSQL would materialize though it costs more than to read the table twice. -#}
{% macro not_materialized() -%}
    {{ return(adapter.dispatch('not_materialized', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__not_materialized() -%}
{%- endmacro %}

{% macro postgres__not_materialized() -%}
    not materialized
{%- endmacro %}
