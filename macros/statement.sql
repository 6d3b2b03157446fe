{#-
    dbt sends every statement through this macro. The override first applies the settings that
    results, plans and privileges depend on. `set local` also works behind a pooler in transaction
    mode, where settings of a session are lost.
-#}
{% macro statement(name=none, fetch_result=false, auto_begin=true, language='sql') -%}
    {%- set query = caller() -%}
    {%- call dbt.statement(name, fetch_result, auto_begin, language) -%}
        {{ session_settings() if on_postgres() }}
        {{ query }}
    {%- endcall -%}
{%- endmacro %}

{#-
    search_path: a role of the app may create functions and operators in `public` that match our
    calls better than PostgreSQL's own; they would run with our privileges.

    timezone: days are UTC days, and times without an offset are UTC.

    extra_float_digits, standard_conforming_strings: a number in JSON keeps all its digits, and a
    backslash in a string is literal.

    enable_nestloop, enable_sort: the planner estimates few rows for a grouped query with a
    condition on it. Then it chooses a nested loop over two large inputs, which took a minute for
    12,000 users, and groups by a sort instead of a hash table. Every join here has an equality,
    so a hash join is possible; an `order by` still sorts.

    The other three are for large reads: hash tables in memory, the cost of a random page on an
    SSD, and no JIT compilation.
-#}
{% macro session_settings() -%}
    set local search_path = pg_catalog;
    set local timezone = 'UTC';
    set local extra_float_digits = 1;
    set local standard_conforming_strings = on;
    set local enable_nestloop = off;
    set local enable_sort = off;
    set local work_mem = '64MB';
    set local random_page_cost = 1.1;
    set local jit = off;
{%- endmacro %}

{#- Whether this is PostgreSQL, where locks, the run log, and what is final are minded. -#}
{% macro on_postgres() -%}
    {{ return(target.type != 'spark') }}
{%- endmacro %}

{#- Whether dbt builds models and, of these nodes, some are of this project. -#}
{% macro is_run(nodes) -%}
    {%- if not execute or flags.WHICH not in ('build', 'run') -%}
        {{ return(false) }}
    {%- endif -%}
    {%- for node in nodes if node.split('.')[1] == 'analytics_rollups' -%}
        {{ return(true) }}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}
