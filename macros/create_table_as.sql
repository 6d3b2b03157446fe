{#-
    How dbt creates a table from a query, with two differences.

    dbt leaves a temporary table to the end of its session. Behind a transaction-mode pooler
    sessions go on for hours, so it has to end with the transaction that it is needed in.

    dbt looks once, before it begins, which tables there are. Of two first runs the second waits
    for the lock of `prepare_rollup`, and then finds the table that it was about to create: it
    writes into it as a later run would.
-#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if temporary -%}
        {%- if config.get('contract').enforced -%}
            {{ get_assert_columns_equivalent(sql) }}
        {%- endif %}
        create temporary table {{ relation }} on commit drop as (
            {{ sql }}
        );
    {%- elif exists_by_now(relation) -%}
        {%- set computed = make_temp_relation(relation) -%}
        {%- set strategy = 'get_incremental_' ~ config.get('incremental_strategy') ~ '_sql' %}
        {{ create_table_as(True, computed, sql) }}
        {{ context[strategy]({
            'target_relation': relation,
            'temp_relation': computed,
            'unique_key': config.get('unique_key'),
            'dest_columns': adapter.get_columns_in_relation(relation),
        }) }}
    {%- else -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- endif -%}
{%- endmacro %}

{#- The same for the table of a seed, which it empties if need be. -#}
{% macro postgres__create_csv_table(model, agate_table) -%}
    {%- call statement('lock_seed') -%}
        {{ lock_relation(this) }}
    {%- endcall -%}
    {%- if exists_by_now(this) -%}
        {{ return(reset_csv_table(model, false, this.incorporate(type='table'), agate_table)) }}
    {%- endif -%}
    {{ return(dbt.default__create_csv_table(model, agate_table)) }}
{%- endmacro %}

{#- A table that another run created has its indexes. -#}
{% macro postgres__create_indexes(relation) -%}
    {%- set indexes = run_query(
        "select 1 from pg_index where indrelid = '" ~ relation ~ "'::regclass limit 1"
    ) -%}
    {%- if indexes.rows | length == 0 -%}
        {%- do dbt.default__create_indexes(relation) -%}
    {%- endif -%}
{%- endmacro %}

{#- Reads the catalogue's own tables: to_regclass may answer from what was known before. -#}
{% macro exists_by_now(relation) -%}
    {%- set found = run_query(
        "select 1 from pg_class where relname = '" ~ relation.identifier ~ "' and relnamespace"
        ~ " = (select oid from pg_namespace where nspname = '" ~ relation.schema ~ "')"
    ) -%}
    {{ return(found.rows | length > 0) }}
{%- endmacro %}

{#- The lock is the one that `dbt_project/run_log.py` takes to create the schema. -#}
{% macro postgres__create_schema(relation) -%}
    {%- call statement('lock_schema') -%}
        select pg_advisory_xact_lock(hashtextextended('{{ relation.schema }}:create', 0))
    {%- endcall -%}
    {%- set found = run_query(
        "select 1 from pg_namespace where nspname = '" ~ relation.schema ~ "'"
    ) -%}
    {%- if found.rows | length == 0 -%}
        {{ dbt.postgres__create_schema(relation) }}
    {%- endif -%}
{%- endmacro %}
