{#-
    A literal with an offset and without a type takes the type of the column it is compared with.
    So `timestamp` and `timestamptz` sources both work, and an index on the column is used.
-#}
{% macro utc_literal(instant) -%}
    '{{ instant.strftime('%Y-%m-%d %H:%M:%S.%f') }}+00'
{%- endmacro %}

{% macro window_spine() -%}
    select cast('{{ first_day() }}' as date) + day_number as day
    from generate_series(0, {{ (last_day() - first_day()).days }}) as day_number
{%- endmacro %}

{#- Of the metrics; the command line asks too, so it uses nothing of dbt. -#}
{% macro longest_horizon_days() -%}
    7
{%- endmacro %}

{#- Whether the day and its horizon ended before `as_of`. -#}
{% macro is_final(day, horizon_days=0) -%}
    {{ end_of_day(day) }} + {{ horizon_days }} * interval '24 hours' <= {{ utc_literal(as_of()) }}
{%- endmacro %}
