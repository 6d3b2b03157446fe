{#- A condition: the user has no valid event before the window. -#}
{% macro is_new(user) -%}
    {{ return(adapter.dispatch('is_new', 'analytics_rollups')(user)) }}
{%- endmacro %}

{#-
    With an index on the user this is a scalar subquery, which PostgreSQL runs once per user; it
    may plan a `not exists` as a join that reads the whole history. The plan must not depend on
    statistics, which may be wrong or missing. So `order by` forces the index on the user, and
    `+ interval '0'` prevents an index scan on the time, which may read the whole history for one
    user. Without such an index, as behind a view that casts, `not exists` reads the history once
    for all users.
-#}
{% macro default__is_new(user) -%}
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

{#-
    One pass over the days before the window for all users, as an anti join. Each user of them is
    sent to the other machines once, not each event.
-#}
{% macro spark__is_new(user) -%}
    not exists (
        select 1
        from (
            select distinct {{ user_id('logs') }} as anonymous_user_id
            from {{ event_logs(valid_from(), window_start()) }} as logs
            where {{ is_before_window('logs.occurred_at') }}
        ) as history
        where history.anonymous_user_id = {{ user }}
    )
{%- endmacro %}

{#-
    Whether an index finds a user's events. It asks the planner, because the log may be a view.
    False for a nondeterministic collation, because ids are compared byte by byte.
-#}
{% macro users_are_indexed() -%}
    {{ return(adapter.dispatch('users_are_indexed', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__users_are_indexed() -%}
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

{% macro spark__users_are_indexed() -%}
    {{ return(false) }}
{%- endmacro %}
