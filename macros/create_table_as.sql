{#-
    dbt leaves a temporary table to the end of its session. Behind a transaction-mode pooler
    sessions go on for hours, so there it must end with the transaction that it is needed in.
-#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if not temporary -%}
    {{ return(dbt.postgres__create_table_as(temporary, relation, sql)) }}
    {%- endif -%}
    {%- if config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    create temporary table {{ relation }} on commit drop as (
        {{ sql }}
    );
{%- endmacro %}
