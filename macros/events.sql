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
    {%- set has_map = 'experiment_map' in event_columns() %}
    (
        select
            {{ user_id('logs') }} as anonymous_user_id,
            {{ text_id('logs.event_name') }} as event_name,
            {{ instant('logs', 'occurred_at') }},
            {{ instant('logs', 'received_at') }},
            -- Text is faster to compare, and distinguishes 1.0 and 1.00, which are two variants.
            {{ "coalesce(" ~ text_id('logs.experiment_map') ~ ", 'null')" if has_map
                else "'null'" ~ ' collate "C"' }} as experiment_map,
            {{ 'logs.experiment_map' if has_map else 'cast(null as jsonb)' }} as stored_map
            {%- for dimension in dimensions() if with_dimensions %},
            {{ dimension_value(dimension, 'logs') }} as dimension_{{ loop.index }}
            {%- endfor %}
        from {{ event_logs() }} as logs
        where
            (
                logs.occurred_at >= {{ utc_literal([since or window_start(), valid_from()] | max) }}
                and logs.occurred_at < {{ utc_literal([as_of(), window_end()] | min) }}
            )
            or (
                logs.occurred_at >= {{ utc_literal([as_of(), window_end()] | min) }}
                and logs.occurred_at <= {{ utc_literal([until or events_until(), valid_until()] | min) }}
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

{#-
    A condition: the user has no valid event before the window.

    With an index on the user this is a scalar subquery, which PostgreSQL runs once per user; it
    may plan a `not exists` as a join that reads the whole history. The plan must not depend on
    statistics, which may be wrong or missing. So `order by` forces the index on the user, and
    `+ interval '0'` prevents an index scan on the time, which may read the whole history for one
    user. Without such an index, as behind a view that casts, `not exists` reads the history once
    for all users.
-#}
{% macro is_new(user) -%}
    {%- if users_are_indexed() -%}
    (
        select 1
        from {{ event_logs() }} as history
        where
            -- Evaluated once: without any history there is nothing to look up.
            exists (
                select 1
                from {{ event_logs() }} as logs
                where {{ is_before_window('occurred_at') }}
            )
            and history.anonymous_user_id >= {{ user }}
            and history.anonymous_user_id <= {{ user }}
            and {{ is_before_window("history.occurred_at + interval '0'") }}
        order by history.anonymous_user_id
        limit 1
    ) is null
    {%- else -%}
    not exists (
        select 1
        from {{ event_logs() }} as history
        where
            {{ user_id('history') }} = {{ user }}
            and {{ is_before_window('history.occurred_at') }}
    )
    {%- endif -%}
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

{#-
    Whether an index finds a user's events. It asks the planner, because the log may be a view.
    False for a nondeterministic collation, because ids are compared byte by byte.
-#}
{% macro users_are_indexed() -%}
    {%- set logs = source('app', 'event_logs').render() -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}
        {{ return(true) }}
    {%- endif -%}
    {#- dbt's own look-up knows no foreign tables. The docs are built without a log, too. -#}
    {%- if run_query("select to_regclass('" ~ logs ~ "')").rows[0][0] is none -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set plan = run_query(
        'explain (costs off) select (select 1 from ' ~ logs ~ ' as history'
        ~ ' where history.anonymous_user_id >= users.anonymous_user_id'
        ~ ' and history.anonymous_user_id <= users.anonymous_user_id'
        ~ ' order by history.anonymous_user_id limit 1)'
        ~ ' from ' ~ logs ~ ' as users where false'
    ).columns[0].values() | join('\n') -%}
    {%- set ambiguous = run_query(
        "select 1 from pg_attribute join pg_collation on pg_collation.oid = attcollation"
        ~ " where attrelid = cast('" ~ logs ~ "' as regclass)"
        ~ " and attname = 'anonymous_user_id' and not collisdeterministic"
    ) -%}
    {%- set slow = ['Seq Scan', 'Foreign Scan', '->  Sort'] | select('in', plan) | list -%}
    {{ return(not slow and not ambiguous.rows) }}
{%- endmacro %}

{#- The event log, without an alias: with `--empty` and `--sample`, dbt puts one behind it. -#}
{% macro event_logs() -%}
    (select * from {{ source('app', 'event_logs') }})
{%- endmacro %}

{#- The types of the event log's columns by name. `experiment_map` may be missing. -#}
{% macro event_columns() -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}
        {{ return({'experiment_map': 'jsonb'}) }}
    {%- endif -%}
    {%- set types = {} -%}
    {%- for name, type in run_query(
        'select attname, cast(cast(atttypid as regtype) as text) from pg_attribute'
        ~ " where attrelid = to_regclass('" ~ source('app', 'event_logs').render() ~ "')"
        ~ ' and attnum > 0 and not attisdropped'
    ).rows -%}
        {%- do types.update({name: type}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}
