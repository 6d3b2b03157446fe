{#-
    A literal that carries its offset and no type takes the type of the column it meets, so
    `timestamp` and `timestamptz` sources compare alike, and an index on the column serves.
-#}
{% macro utc_literal(instant) -%}
    '{{ instant.strftime('%Y-%m-%d %H:%M:%S.%f') }}+00'
{%- endmacro %}

{% macro window_spine() -%}
    select cast('{{ window_start().date() }}' as date) + day_number as day
    from generate_series(0, {{ window_days() - 1 }}) as day_number
{%- endmacro %}

{#- Whether the passing of time can no longer change a value of `day`. -#}
{% macro is_final(day, horizon_days=0) -%}
    {{ day }} + {{ horizon_days }} < cast('{{ as_of().date() }}' as date)
{%- endmacro %}
