{#-
    Counts the events of the window that are not valid, by rule. It runs once, after the models,
    and writes a log line that `dbt_project/runner.py` reads.

    An event is in the window if it was received or occurred in it. If the source drops events
    after 180 days, invalid ones are few, and the index on occurred_at finds them; received_at
    needs no index.
-#}
{% macro report_ignored_events() -%}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- set counts = run_query(ignored_events()) -%}
        {%- do log('ignored_events: ' ~ tojson(counts.rows[0].dict()), info=true) -%}
    {%- endif -%}
{%- endmacro %}

{% macro ignored_events() -%}
    with events as (

        select
            occurred_at > {{ utc_literal(valid_until()) }} as is_future,
            occurred_at < {{ utc_literal(valid_from()) }} as is_expired
        from {{ source('app', 'event_logs') }}
        where
            (
                occurred_at > {{ utc_literal(valid_until()) }}
                or occurred_at < {{ utc_literal(valid_from()) }}
                or occurred_at is null
            )
            and (
                {{ is_in_window('occurred_at') }}
                or {{ is_in_window('received_at') }}
            )

    )

    select
        count(*) filter (where is_future) as in_the_future,
        count(*) filter (where is_expired) as older_than_180_days,
        count(*) filter (where is_future is null) as without_a_time
    from events
{%- endmacro %}

{% macro is_in_window(instant) -%}
    (
        {{ instant }} >= {{ utc_literal(window_start()) }}
        and {{ instant }} < {{ utc_literal(window_end()) }}
    )
{%- endmacro %}
