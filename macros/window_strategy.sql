{#-
    How a rollup is written: the incremental strategy `window`. In one transaction it deletes the
    rows that the run may change and inserts the computed ones. So readers see the window before
    or after a run, never a mixture, and keys that no longer occur are deleted. A row that the run
    may not change wins over a new one with the same key. A table without days is rewritten whole.

    dbt's temporary table lasts until the session ends, which behind a pooler in transaction mode
    may take hours. So the rows move to one that is dropped with the transaction.
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
    What a run may change: the days of its window since the source's earliest valid event. The
    events of earlier days may be purged, so their rows could not be computed again; only the var
    `allow_purged` includes them.
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
    Runs first in a rollup's transaction and serializes runs of one model. The lock ends with the
    transaction, so it works behind a pooler in transaction mode.
-#}
{% macro lock_rollup() -%}
    {{ notice_lost_client() }};
    select pg_advisory_xact_lock(hashtextextended('{{ this }}', 0))
{%- endmacro %}
