{#-
    A literal with an offset and without a type takes the type of the column it is compared with.
    So `timestamp` and `timestamptz` sources both work, and an index on the column is used. Spark
    needs a type to compare it with the statistics of a file.
-#}
{% macro utc_literal(instant) -%}
    {{ return(adapter.dispatch('utc_literal', 'analytics_rollups')(instant)) }}
{%- endmacro %}

{% macro default__utc_literal(instant) -%}
    '{{ instant.strftime('%Y-%m-%d %H:%M:%S.%f') }}+00'
{%- endmacro %}

{% macro spark__utc_literal(instant) -%}
    timestamp '{{ instant.strftime('%Y-%m-%d %H:%M:%S.%f') }}+00:00'
{%- endmacro %}

{#- Times before and after all others. Spark has no infinite ones. -#}
{% macro before_all_time() -%}
    {{ return(adapter.dispatch('before_all_time', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__before_all_time() -%}
    '-infinity'
{%- endmacro %}

{% macro spark__before_all_time() -%}
    timestamp '0001-01-01 00:00:00+00:00'
{%- endmacro %}

{% macro after_all_time() -%}
    {{ return(adapter.dispatch('after_all_time', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__after_all_time() -%}
    'infinity'
{%- endmacro %}

{% macro spark__after_all_time() -%}
    timestamp '9999-12-31 23:59:59.999999+00:00'
{%- endmacro %}

{#- The seconds from one instant to another. -#}
{% macro seconds_between(first, second) -%}
    {{ return(adapter.dispatch('seconds_between', 'analytics_rollups')(first, second)) }}
{%- endmacro %}

{% macro default__seconds_between(first, second) -%}
    date_part('epoch', {{ second }} - {{ first }})
{%- endmacro %}

{% macro spark__seconds_between(first, second) -%}
    (unix_micros({{ second }}) - unix_micros({{ first }})) / 1e6
{%- endmacro %}

{#- A day as text: 2026-11-24. -#}
{% macro day_text(day) -%}
    {{ return(adapter.dispatch('day_text', 'analytics_rollups')(day)) }}
{%- endmacro %}

{% macro default__day_text(day) -%}
    to_char({{ day }}, 'YYYY-MM-DD')
{%- endmacro %}

{% macro spark__day_text(day) -%}
    cast({{ day }} as string)
{%- endmacro %}
