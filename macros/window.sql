{#- The window of a run. Each of these returns a datetime in UTC, a date, or a number. -#}

{% macro as_of() -%}
    {%- set given = var('as_of', none) | string -%}
    {%- if given == 'None' -%}
        {{ return(run_started_at) }}
    {%- endif -%}
    {%- set instant = modules.datetime.datetime.fromisoformat(given) -%}
    {%- if modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', given) -%}
        {%- set instant = end_of(instant.date()) - modules.datetime.timedelta(microseconds=1) -%}
    {%- elif instant.tzinfo is none -%}
        {%- set instant = modules.pytz.timezone(timezone()).localize(instant, is_dst=true) -%}
    {%- endif -%}
    {%- if instant > run_started_at + modules.datetime.timedelta(minutes=5) -%}
        {{ exceptions.raise_compiler_error(
            'as_of is in the future: ' ~ instant ~ '. Leave it out to compute as of now.') }}
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

{#- The last day of the window: the var `to`, or the day of `as_of`. -#}
{% macro last_day() -%}
    {{ return(given_day('to') or today(as_of())) }}
{%- endmacro %}

{#- The first day: the var `from`, or `window_days` back. Older days have no valid events. -#}
{% macro first_day() -%}
    {%- set latest = today(as_of()) -%}
    {%- set earliest = latest - modules.datetime.timedelta(days=179) -%}
    {%- set first = given_day('from')
        or last_day() - modules.datetime.timedelta(days=window_days() - 1) -%}
    {%- if (given_day('from') or given_day('to'))
        and not earliest <= first <= last_day() <= latest -%}
        {{ exceptions.raise_compiler_error(
            'from and to must be days from ' ~ earliest ~ ' to ' ~ latest ~ ', in this'
            ~ ' order, not ' ~ first ~ ' and ' ~ last_day() ~ '.') }}
    {%- endif -%}
    {{ return(first) }}
{%- endmacro %}

{% macro given_day(name) -%}
    {%- set given = var(name, none) | string -%}
    {%- if given == 'None' -%}
        {{ return(none) }}
    {%- elif not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', given) -%}
        {{ exceptions.raise_compiler_error(
            name ~ " must be a day such as 2026-11-24, not '" ~ given ~ "'") }}
    {%- endif -%}
    {{ return(modules.datetime.datetime.fromisoformat(given).date()) }}
{%- endmacro %}

{% macro window_start() -%}
    {{ return(start_of(first_day())) }}
{%- endmacro %}

{% macro window_end() -%}
    {{ return(end_of(last_day())) }}
{%- endmacro %}

{% macro valid_from() -%}
    {{ return(as_of() - modules.datetime.timedelta(days=180)) }}
{%- endmacro %}

{% macro valid_until() -%}
    {{ return(as_of() + modules.datetime.timedelta(minutes=5)) }}
{%- endmacro %}
