{#- A share between 0 and 1, and 0 of an empty whole. -#}
{% macro rate(part, whole) -%}
    coalesce(cast({{ part }} as double precision) / nullif({{ whole }}, 0), 0)
{%- endmacro %}
