{#- A text as a literal. Spark takes a backslash in a literal for the start of an escape. -#}
{% macro string_literal(text) -%}
    {{ return(adapter.dispatch('string_literal', 'analytics_rollups')(text)) }}
{%- endmacro %}

{% macro default__string_literal(text) -%}
    {{ return("'" ~ text | replace("'", "''") ~ "'") }}
{%- endmacro %}

{% macro spark__string_literal(text) -%}
    {{ return("'" ~ text | replace('\\', '\\\\') | replace("'", "\\'") ~ "'") }}
{%- endmacro %}

{#- After a text: it is compared byte by byte, as Spark always does. -#}
{% macro by_bytes() -%}
    {{ return(adapter.dispatch('by_bytes', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__by_bytes() -%}
    {{ return(' collate "C"') }}
{%- endmacro %}

{% macro spark__by_bytes() -%}
    {{ return('') }}
{%- endmacro %}

{#- The SHA-256 of a text in UTF-8, in hex. -#}
{% macro sha256_of(text) -%}
    {{ return(adapter.dispatch('sha256_of', 'analytics_rollups')(text)) }}
{%- endmacro %}

{% macro default__sha256_of(text) -%}
    encode(sha256(convert_to({{ text }}, 'UTF8')), 'hex')
{%- endmacro %}

{% macro spark__sha256_of(text) -%}
    sha2({{ text }}, 256)
{%- endmacro %}

{#- A condition: the text matches the regular expression, which has no quotes or backslashes. -#}
{% macro matches(text, expression) -%}
    {{ return(adapter.dispatch('matches', 'analytics_rollups')(text, expression)) }}
{%- endmacro %}

{% macro default__matches(text, expression) -%}
    {{ text }} ~ '{{ expression }}'
{%- endmacro %}

{% macro spark__matches(text, expression) -%}
    {{ text }} rlike '{{ expression }}'
{%- endmacro %}
