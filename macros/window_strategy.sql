{#-
    How a rollup is written: the incremental strategy `window`, by the rules of `replace_rows`, in
    one transaction. So readers see the window before or after a run, never a mixture, and keys
    that no longer occur are deleted.

    dbt's temporary table lasts until the session ends, which behind a pooler in transaction mode
    may take hours. So the rows move to one that is dropped with the transaction.
-#}
{% macro get_incremental_window_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set meta = config.get('meta', {}) -%}
    create temporary table computed_rows on commit drop as table {{ arg_dict['temp_relation'] }};
    drop table {{ arg_dict['temp_relation'] }};
    {% if is_partial_build() or (model.fqn[1] == 'experiment' and not has_experiments()) %}
    -- What is computed is not of the whole source, so the rows stay.
    delete from {{ target }} where false
    {%- else %}
    {%- set limits = limits_of(target, arg_dict['temp_relation']) if meta.get('shows_events') else none -%}
    {{ replace_rows(
        target, 'computed_rows', columns, arg_dict['unique_key'], meta, limits,
        first_day(), last_day(), allow_purged(), is_final(row_day(meta, 'last'))
    ) }}
    {%- endif -%}
{%- endmacro %}

{% macro is_in_days(day) -%}
    {{ day }} between '{{ first_day() }}' and '{{ last_day() }}'
{%- endmacro %}

{#- For data tests: the rows that the latest run wrote. Only they were computed together. -#}
{% macro latest_rows(rollup, day='day') -%}
    (
        select *
        from {{ rollup }}
        where
            {{ is_in_days(day) }}
            and computed_at = (
                select max(computed_at) from {{ rollup }} where {{ is_in_days(day) }}
            )
    )
{%- endmacro %}

{#-
    For data tests: the days that must have all their rows. A run as of the past writes final rows
    alone, so only days on which every horizon has ended must.
-#}
{% macro complete_days(rollup) -%}
    select spine.day
    from ({{ window_spine() }}) as spine
    where
        {{ is_final('spine.day', longest_horizon_days()) }}
        or exists (select 1 from {{ latest_rows(rollup) }} as latest where not latest.is_final)
{%- endmacro %}

{#- The row of `run_limits` for the model; says what the run leaves alone. -#}
{% macro limits_of(target, computed) -%}
    {%- set limits = run_query(limits_query(
        target, model.fqn[1], config.get('meta'))).rows[0].dict() -%}
    {%- set unfinished = run_query(unfinished_days(computed, config.get('meta'))).rows[0][0]
        if limits['is_older'] else none -%}
    {%- set notes = limits_notes(
        model.name, limits, allow_purged(), as_of().strftime('%Y-%m-%d %H:%M:%S'), unfinished
    ).strip().splitlines() -%}
    {%- for text in notes -%}
        {%- do log(text, info=true) -%}
    {%- endfor -%}
    {%- do log('limits: ' ~ tojson({
        'job': model.fqn[1], 'kept_since': limits['kept_since'], 'notes': notes})) -%}
    {{ return(limits) }}
{%- endmacro %}

{% macro limits_query(rollup, job, meta) -%}
    {{ run_limits(
        source('app', 'event_logs').render(), rollup, run_log(), job, meta,
        'cast(' ~ utc_literal(as_of()) ~ ' as timestamptz)',
        utc_literal(valid_from()), utc_literal(valid_until()), first_day(), last_day(), timezone()
    ) }}
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
    {%- if on_postgres() -%}
    {{ notice_lost_client() }};
    select pg_advisory_xact_lock(hashtextextended('{{ this }}', 0))
    {%- endif -%}
{%- endmacro %}

{#- The models of this project that are written so. -#}
{% macro window_models() -%}
    {{ return(graph.nodes.values() | selectattr('package_name', 'equalto', 'analytics_rollups')
        | selectattr('config.incremental_strategy', 'in', ('window', 'insert_overwrite')) | list if execute else []) }}
{%- endmacro %}
