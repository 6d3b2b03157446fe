{#-
    How a rollup is written: the incremental strategy `window`. In the transaction that has
    computed the new rows it deletes what the run may change and inserts what it computed, so
    readers see the window before or after a run, never between, and a key that vanished is gone.
    Rows that must stay win over new ones of the same key. A table without days is written whole.

    dbt leaves its temporary table to the end of the session, and behind a pooler in transaction
    mode sessions go on for hours. So the rows move to one that ends with the transaction.
-#}
{% macro get_incremental_window_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set has_days = 'day' in arg_dict['dest_columns'] | map(attribute='name') -%}
    {%- set keys = arg_dict['unique_key'] -%}
    create temporary table computed_rows on commit drop as table {{ arg_dict['temp_relation'] }};
    drop table {{ arg_dict['temp_relation'] }};

    delete from {{ target }}{% if has_days %} where {{ is_rewritable('day') }}{% endif %};

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from computed_rows
    on conflict ({{ keys if keys is string else keys | join(', ') }}) do nothing
{%- endmacro %}

{#-
    What a run may change: the days of its window that the source still covers. Days before
    the source's earliest valid event were purged there, so their rows are all that is left,
    and only the var `allow_purged` gives them up.
-#}
{% macro is_rewritable(day) -%}
    {{ day }} >= '{{ window_start().date() }}'
    and {{ day }} < '{{ window_end().date() }}'
    {%- if not allow_purged() %}
    and {{ day }} >= (
        select cast(min(occurred_at) as date)
        from {{ source('app', 'event_logs') }}
        where
            occurred_at >= {{ utc_literal(valid_from()) }}
            and occurred_at <= {{ utc_literal(valid_until()) }}
    )
    {%- endif %}
{%- endmacro %}

{% macro allow_purged() -%}
    {%- set given = var('allow_purged', false) | string | lower -%}
    {%- if given not in ('true', 'false') -%}
        {{ exceptions.raise_compiler_error(
            "allow_purged must be true or false, not '" ~ given ~ "'") }}
    {%- endif -%}
    {{ return(given == 'true') }}
{%- endmacro %}

{#-
    Runs first in a rollup's transaction, and makes two runs of one model wait for each other. The
    lock ends with the transaction, so it works behind a transaction-mode pooler.
-#}
{% macro lock_rollup() -%}
    {{ notice_lost_client() }};
    select pg_advisory_xact_lock(hashtextextended('{{ this }}', 0))
{%- endmacro %}
