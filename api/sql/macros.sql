{# The columns of experiment_readouts that are double precision, in the order of the table. #}
{% set estimates = [
    "value", "control_value", "difference", "difference_low", "difference_high", "p_value",
    "lift", "lift_low", "lift_high", "lift_always_low", "lift_always_high", "p_always",
    "cuped_lift", "cuped_lift_low", "cuped_lift_high", "variance_reduction",
    "p_holm", "chance_to_win", "mde", "users_to_detect",
] %}

{# A number as JavaScript prints it: 12, not 12.0 or 1e+15. What JSON cannot say is null. #}
{% macro js_number(x) -%}
    case
        when {{ x }} = 0 then cast('0' as json)
        when abs({{ x }}) >= 0.0001 and abs({{ x }}) < 1e15 then to_json({{ x }})
        when abs({{ x }}) >= 0.000001 and abs({{ x }}) < 1e21
            then to_json(cast(cast({{ x }} as text) as numeric))
        when abs({{ x }}) < cast('Infinity' as double precision)
            then cast(replace(cast({{ x }} as text), 'e-0', 'e-') as json)
        else cast('null' as json)
    end
{%- endmacro %}

{# An instant as JavaScript prints it. An infinite one is null. #}
{% macro js_time(x) -%}
    to_char({{ x }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
{%- endmacro %}

{# A day's midnight. As an instant it would be one in the session's TimeZone, and not every day has
   a midnight there. #}
{% macro js_midnight(x) -%}
    to_char(cast({{ x }} as timestamp), 'YYYY-MM-DD"T00:00:00.000Z"')
{%- endmacro %}

{# Text behind which a spreadsheet suspects no formula: a quote goes before a sign that begins one,
   also full-width or behind white space, and before tabs and line breaks, behind which some programs
   begin a new cell. #}
{% macro csv_text(x) -%}
    case
        when {{ x }} collate "C" ~ '^[\t\r\n]|^[\s\u0085\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]*[-=+@\uff1d\uff0b\uff0d\uff20]'
            then concat('''', {{ x }})
        else {{ x }}
    end
{%- endmacro %}

{# A number as JavaScript prints it, but for the decimal separator, or no text at all. #}
{% macro csv_number(x) -%}
    replace(nullif(cast({{ js_number(x) }} as text), 'null'), '.', %(decimal)s)
{%- endmacro %}

{# The job that a name in the run log stands for, which may be the one of the system before. #}
{% macro job_of(x) -%}
    case
        {%- for job, names in job_names.items() %}
        when {{ x }} in ('{{ names | join("', '") }}') then '{{ job }}'
        {%- endfor %}
        else {{ x }}
    end
{%- endmacro %}

{# The rows that a request with a window asks for. #}
{% macro windowed(day="day") -%}
    {{ day }} >= %(start)s
    and {{ day }} < %(end)s
    and (is_final or not %(complete)s)
{%- endmacro %}

{# The rows with the key or of the dimension that a request asks for. Only keys of variants have a
   colon. #}
{% macro of_dimension() -%}
    (
        cast(%(dimension)s as text) is null
        or %(dimension)s in (
            dimension_key,
            nullif(substring(dimension_key from '^([^=:]+)=[^:]*$'), 'overall')
        )
    )
{%- endmacro %}

{% macro share(x, whole) -%}
    cast({{ x }} as double precision) / nullif({{ whole }}, 0)
{%- endmacro %}

{# Rows of a funnel's table, compared with the steps before. One may be missing: a variant has no row
   at a step that none of its users took. #}
{% macro compared(rollups) -%}
    select
        *,
        case
            when lag(step) over journey = step - 1
                then {{ share("users_count", "lag(users_count) over journey") }}
        end as conversion_from_previous,
        case
            when first_value(step) over journey = 1
                then {{ share("users_count", "first_value(users_count) over journey") }}
        end as conversion_from_first
    from {{ rollups }}
    window journey as (partition by day, funnel_name, dimension_key order by step)
{%- endmacro %}
