{#- The window of a run. Each of these returns a datetime in UTC, or a number. -#}

{% macro as_of() -%}
    {%- set given = var('as_of', none) -%}
    {%- set instant = run_started_at if given is none
        else modules.datetime.datetime.fromisoformat(given | string) -%}
    {%- if instant.tzinfo is none -%}
        {%- set instant = modules.pytz.utc.localize(instant) -%}
    {%- endif -%}
    {{ return(instant.astimezone(modules.pytz.utc)) }}
{%- endmacro %}

{% macro window_days() -%}
    {%- set given = var('window_days', 14) | string -%}
    {%- if not modules.re.fullmatch('[0-9]{1,3}', given) or not 1 <= given | int <= 180 -%}
        {{ exceptions.raise_compiler_error(
            "window_days must be a whole number from 1 to 180, not '" ~ given ~ "'") }}
    {%- endif -%}
    {{ return(given | int) }}
{%- endmacro %}

{% macro window_end() -%}
    {%- set midnight = as_of().replace(hour=0, minute=0, second=0, microsecond=0) -%}
    {{ return(midnight + modules.datetime.timedelta(days=1)) }}
{%- endmacro %}

{% macro window_start() -%}
    {{ return(window_end() - modules.datetime.timedelta(days=window_days())) }}
{%- endmacro %}

{% macro valid_from() -%}
    {{ return(as_of() - modules.datetime.timedelta(days=180)) }}
{%- endmacro %}

{% macro valid_until() -%}
    {{ return(as_of() + modules.datetime.timedelta(minutes=5)) }}
{%- endmacro %}
