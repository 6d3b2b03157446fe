{#-
    The one place that reads the events of a run: the valid ones since the start of the window, as
    a subquery. PostgreSQL would materialize a CTE that a model reads twice, and spill it to disk.

    The window starts less than 180 days before `as_of`, so its start is the later of the two lower
    bounds. Events after the window's end belong to no day of the run, but show what the users of
    its days did within a week. A model that needs more gives bounds of its own.

    The two ranges of the `or` are adjacent and could be one. With two, PostgreSQL chooses a
    `Bitmap Heap Scan`, which reads each page once and takes a quarter less CPU time than an
    `Index Scan` (0.40 and 0.54 s for 790,000 events).
-#}
{% macro events(since=none, until=none, with_dimensions=false) -%}
    {%- set first = [since or window_start(), valid_from()] | max -%}
    {%- set last = [until or events_until(), valid_until()] | min -%}
    {%- set has_map = 'experiment_map' in event_columns() %}
    (
        select
            {{ user_id('logs') }} as anonymous_user_id,
            {{ text_id('logs.event_name') }} as event_name,
            {{ instant('logs', 'occurred_at') }},
            {{ instant('logs', 'received_at') }},
            -- Text is faster to compare, and distinguishes 1.0 and 1.00, which are two variants.
            {{ "coalesce(" ~ text_id('logs.experiment_map') ~ ", 'null')" if has_map
                else "'null'" ~ by_bytes() }} as experiment_map,
            {{ 'logs.experiment_map' if has_map else cast_as('null', 'jsonb') }} as stored_map
            {%- for dimension in dimensions() if with_dimensions %},
            {{ dimension_value(dimension, 'logs') }} as dimension_{{ loop.index }}
            {%- endfor %}
        from {{ event_logs(first, last) }} as logs
        where
            (
                logs.occurred_at >= {{ utc_literal(first) }}
                and logs.occurred_at < {{ utc_literal([as_of(), window_end()] | min) }}
            )
            or (
                logs.occurred_at >= {{ utc_literal([as_of(), window_end()] | min) }}
                and logs.occurred_at <= {{ utc_literal(last) }}
            )
    )
{%- endmacro %}

{#- The end of the longest horizon of a metric, or of what is valid. -#}
{% macro events_until() -%}
    {%- set horizon = modules.datetime.timedelta(days=longest_horizon_days() | int) -%}
    {{ return([window_end() + horizon, valid_until()] | min) }}
{%- endmacro %}

{#- A subquery: those of the users of a CTE that have no valid event before the window. -#}
{% macro new_users(user_days) -%}
    (
        with active_users as (

            select
                anonymous_user_id,
                min(first_at) as first_seen,
                min(first_submission_at) as first_submission_at
            from {{ user_days }}
            group by 1

        )

        select
            anonymous_user_id,
            first_seen,
            {{ day_of('first_seen') }} as day,
            coalesce(
                first_submission_at <= first_seen + interval '24 hours', false
            ) as is_logged_24h
        from active_users
        where
            anonymous_user_id is not null
            and {{ is_new('active_users.anonymous_user_id') }}
    )
{%- endmacro %}

{% macro is_before_window(occurred_at) -%}
    (
        {{ occurred_at }} >= {{ utc_literal(valid_from()) }}
        and {{ occurred_at }} < {{ utc_literal(window_start()) }}
    )
{%- endmacro %}

{#- A user's id in the column's type, so that its index can be used; without one, as text. -#}
{% macro user_id(logs) -%}
    {%- set column = logs ~ '.anonymous_user_id' -%}
    {{ column if users_are_indexed() else text_id(column) }}
{%- endmacro %}
