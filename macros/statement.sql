{#-
    dbt sends every statement through this macro. Here it first settles, for the statement's
    transaction, what an answer, its speed or its rights could otherwise hang on. `set local` also
    holds behind a pooler in transaction mode, which takes no settings when a session starts.
-#}
{% macro statement(name=none, fetch_result=false, auto_begin=true, language='sql') -%}
    {%- set query = caller() -%}
    {%- call dbt.statement(name, fetch_result, auto_begin, language) -%}
        {{ session_settings() }}
        {{ query }}
    {%- endcall -%}
{%- endmacro %}

{#-
    search_path: in `public` a role of the app may create functions and operators that fit our
    calls better than PostgreSQL's own, and they would run with our rights.

    timezone: a timestamp's day, and an instant without an offset, are UTC's.

    extra_float_digits, standard_conforming_strings: a number in JSON keeps all its digits, and a
    backslash is a backslash.

    enable_nestloop, enable_sort: PostgreSQL takes a grouped query for a few rows once a condition
    filters it. Then it joins by a loop over all rows of the other side for each of ours, which
    took a minute for 12,000 users, and sorts what a hash table would group. Every join here has
    an equality that a hash can serve; where rows must be in order it sorts all the same.

    The other three are for plans that read much: hash tables in memory, the price of a random
    page on a solid-state disk, and no compilation.
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
