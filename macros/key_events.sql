{#- The names of the key events: the var `key_event`, or KEY_EVENT, several by comma. -#}
{% macro key_events() -%}
    {%- set given = setting('key_event', 'KEY_EVENT', 'session_submitted') -%}
    {%- set names = given.split(',') | map('trim') | unique(case_sensitive=true) | list -%}
    {%- if '' in names -%}
        {{ exceptions.raise_compiler_error(
            "key_event: '" ~ given ~ "' has an empty name. Name the events that count, several by"
            ~ ' comma: order_placed,subscription_started.') }}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{#- A condition: the name is that of a key event. -#}
{% macro is_key_event(event_name) -%}
    {{ event_name }} in ({{ key_event_literals() }})
{%- endmacro %}

{% macro key_event_literals() -%}
    {%- for name in key_events() -%}
    {{ string_literal(name) }} {{- ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
