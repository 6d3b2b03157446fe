{#-
    Every statement of dbt's goes through this macro. In the transaction that it opens, names are
    looked up in pg_catalog alone: in `public`, or any other schema that a role of the app may
    create in, a function or an operator with better fitting types would win over PostgreSQL's
    and run with our rights. `set local` also holds behind a pooler in transaction mode, which
    accepts no such setting at the start of a session.
-#}
{% macro statement(name=none, fetch_result=false, auto_begin=true, language='sql') -%}
    {%- set query = caller() -%}
    {%- call dbt.statement(name, fetch_result, auto_begin, language) -%}
        set local search_path = pg_catalog;
        {{ query }}
    {%- endcall -%}
{%- endmacro %}
