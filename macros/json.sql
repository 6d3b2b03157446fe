{#-
    The pairs of a JSON object as rows of two texts, scalar values only. A value that is not an
    object has no pairs; `case` hides it from jsonb_each, which would fail.
-#}
{% macro json_pairs(value) -%}
    select
        pair.key,
        pair.value #>> '{}'
    from
        jsonb_each(case when jsonb_typeof({{ value }}) = 'object' then {{ value }} end) as pair
    where jsonb_typeof(pair.value) in ('string', 'number', 'boolean')
{%- endmacro %}

{#-
    A JSON text as jsonb, or null if jsonb cannot hold it. A column of type json may contain what
    jsonb refuses, and what would fail the run: NUL, unpaired surrogates, and numbers beyond
    numeric. The first, cheap test suffices for most texts.
-#}
{% macro jsonb_of(text) -%}
    {%- set unescaped = "regexp_replace(" ~ text ~ ", '\\\\\\\\', '', 'g')" -%}
    {%- set without_pairs = "regexp_replace(" ~ unescaped ~ ", '\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..', '', 'g')" -%}
    {%- set outside_strings = "regexp_replace(" ~ unescaped ~ ", '\"([^\"\\\\]|\\\\.)*\"', '', 'g')" -%}
    case
        when {{ text }} !~ '\\u(0000|[dD][89a-fA-F])|[eE][+-]?[0-9]{5}|[0-9.]{255}'
            then cast({{ text }} as jsonb)
        when {{ without_pairs }} ~ '\\u(0000|[dD][89a-fA-F])' then null
        when {{ outside_strings }} ~ '[eE][+-]?[0-9]{5}' then null
        when {{ outside_strings }} ~ '[0-9.]{255}' and length({{ outside_strings }}) > 131072
            then null
        else cast({{ text }} as jsonb)
    end
{%- endmacro %}
