{#-
    A literal that carries its offset and no type takes the type of the column it meets, so
    `timestamp` and `timestamptz` sources compare alike, and an index on the column serves.
-#}
{% macro utc_literal(instant) -%}
    '{{ instant.strftime('%Y-%m-%d %H:%M:%S.%f') }}+00'
{%- endmacro %}

{#- The UTC midnight before an instant, of the instant's own type, whatever TimeZone says. -#}
{% macro utc_midnight(column) -%}
    date_bin('1 day', {{ column }}, '1970-01-01 00:00:00+00')
{%- endmacro %}

{#- The UTC day of an instant. Subtracting first keeps the session's TimeZone out of it. -#}
{% macro utc_day(column) -%}
    cast(timestamp '1970-01-01' + ({{ column }} - '1970-01-01 00:00:00+00') as date)
{%- endmacro %}

{#-
    A day as text. Left to itself `to_char` takes a date for a midnight in the session's
    TimeZone, and a day that this zone left out for the next one.
-#}
{% macro day_text(day) -%}
    to_char(cast({{ day }} as timestamp), 'YYYY-MM-DD')
{%- endmacro %}

{% macro window_spine() -%}
    select cast('{{ window_start().date() }}' as date) + day_number as day
    from generate_series(0, {{ window_days() - 1 }}) as day_number
{%- endmacro %}

{#- Whether the passing of time can no longer change a value of `day`. -#}
{% macro is_final(day, horizon_days=0) -%}
    {{ day }} + {{ horizon_days }} < cast('{{ as_of().date() }}' as date)
{%- endmacro %}

{#-
    An instant as `timestamptz`. Infinity, which cannot be subtracted from, stays itself. The
    days are added without a zone, since a day that is added to a `timestamptz` follows the
    clocks of the session's TimeZone. PostgreSQL counts from 2000: the first and the last times
    that it knows are too far from any other year.
-#}
{% macro utc_instant(column) -%}
    case
        when isfinite({{ column }})
            then (
                timestamp '2000-01-01' + ({{ column }} - '2000-01-01 00:00:00+00')
            ) at time zone 'UTC'
        else cast(cast({{ column }} as text) as timestamptz)
    end
{%- endmacro %}
