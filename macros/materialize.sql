{#-
    How a rollup is written. dbt calls the strategy of an incremental model in the transaction
    that has computed the new rows, so readers see the window before or after a run, never
    between.
-#}

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
        select {{ utc_day('min(occurred_at)') }}
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

{#- Upsert by unique key, and delete the window's keys that are gone. -#}
{% macro get_incremental_merge_window_sql(arg_dict) -%}
    {{ merge_and_prune(arg_dict, is_rewritable('day')) }}
{%- endmacro %}

{#- The same for a table without days, where every key may go. -#}
{% macro get_incremental_merge_all_sql(arg_dict) -%}
    {{ merge_and_prune(arg_dict, 'true') }}
{%- endmacro %}

{#- Delete the window's rows and insert the new ones. -#}
{% macro get_incremental_replace_window_sql(arg_dict) -%}
    {%- set target, computed = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ target }} where {{ is_rewritable('day') }};

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ computed }}
    on conflict ({{ arg_dict['unique_key'] | join(', ') }}) do nothing
{%- endmacro %}

{% macro merge_and_prune(arg_dict, rewritable) -%}
    {%- set target, computed = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
    {%- set keys = arg_dict['unique_key'] if arg_dict['unique_key'] is not string
        else [arg_dict['unique_key']] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | list -%}
    delete from {{ target }} as stored
    where
        {{ rewritable }}
        and not exists (
            select 1
            from {{ computed }} as computed
            where {{ equal_keys('computed', 'stored', keys) }}
        );

    merge into {{ target }} as stored
    using (select *, {{ rewritable }} as is_rewritable from {{ computed }}) as computed
    on {{ equal_keys('computed', 'stored', keys) }}
    when matched and computed.is_rewritable then update set
        {% for column in columns -%}
        {{ column }} = computed.{{ column }}{{ ', ' if not loop.last }}
        {%- endfor %}
    when not matched then
        insert ({{ columns | join(', ') }})
        values (
            {% for column in columns -%}
            computed.{{ column }}{{ ', ' if not loop.last }}
            {%- endfor %}
        )
{%- endmacro %}

{% macro equal_keys(left, right, keys) -%}
    {%- for key in keys -%}
    {{ left }}.{{ key }} = {{ right }}.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
