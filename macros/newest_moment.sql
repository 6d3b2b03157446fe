{#-
    The newest time in a column of the event log, which has an index on occurred_at and perhaps
    none on the column. Usually an event occurred and was received within the last hour, and an
    index scan finds it. Otherwise all events are read.

    "Now" is the clock, not `as_of`. Times in the future must not make a dead source look alive;
    five minutes are allowed for clock skew.
-#}
{% macro newest_moment(column) -%}
    {%- set hour_ago = utc_literal(run_started_at - modules.datetime.timedelta(hours=1)) -%}
    {%- set ahead = utc_literal(run_started_at + modules.datetime.timedelta(minutes=5)) -%}
    select coalesce(
        (
            select max({{ column }})
            from {{ event_logs() }} as logs
            where
                occurred_at >= {{ hour_ago }}
                and occurred_at <= {{ ahead }}
                and {{ column }} >= {{ hour_ago }}
                and {{ column }} <= {{ ahead }}
        ),
        (
            select max({{ column }})
            from {{ event_logs() }} as logs
            where
                {{ column }} >= '1970-01-01 00:00:00+00'
                and {{ column }} <= {{ ahead }}
        )
    )
{%- endmacro %}
