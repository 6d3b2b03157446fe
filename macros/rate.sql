{#- A share between 0 and 1; 0 if the whole is 0. -#}
{% macro rate(part, whole) -%}
    coalesce(cast({{ part }} as {{ sql_type('double precision') }}) / nullif({{ whole }}, 0), 0)
{%- endmacro %}
