{#-
    The pairs of a JSON object as rows of two texts: a scalar by its text, anything else left
    out. A value that is no object has no pairs; `case` keeps jsonb_each from seeing it.
-#}
{% macro json_pairs(value) -%}
    select
        pair.key,
        pair.value #>> '{}'
    from
        jsonb_each(case when jsonb_typeof({{ value }}) = 'object' then {{ value }} end) as pair
    where jsonb_typeof(pair.value) in ('string', 'number', 'boolean')
{%- endmacro %}
