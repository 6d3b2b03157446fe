{#- Of the metrics; the command line asks too, so it uses nothing of dbt. -#}
{% macro longest_horizon_days() -%}
    7
{%- endmacro %}

{#- Whether the day and its horizon ended before `as_of`. -#}
{% macro is_final(day, horizon_days=0) -%}
    {{ end_of_day(day) }} + {{ horizon_days }} * interval '24 hours' <= {{ utc_literal(as_of()) }}
{%- endmacro %}
