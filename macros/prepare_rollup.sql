{#-
    Run first in a rollup's transaction.

    The lock makes two dbt runs of one model wait for each other, where they would double rows
    or deadlock. It ends with the transaction, so it works behind a transaction-mode pooler.

    The planner cannot know how many groups a day of an instant makes, and takes them for as
    many as there are events. Left alone it sorts or spills what fits in memory. Its default
    price of a random page is that of a spinning disk.

    A number that goes into JSON keeps all its digits, and a backslash is a backslash, whatever
    the database's settings are.
-#}
{% macro prepare_rollup() -%}
    {{ notice_lost_client() }};
    {{ lock_relation(this) }};
    set local work_mem = '64MB';
    set local enable_sort = off;
    set local random_page_cost = 1.1;
    set local jit = off;
    set local extra_float_digits = 1;
    set local standard_conforming_strings = on
{%- endmacro %}

{% macro lock_relation(relation) -%}
    select pg_advisory_xact_lock(hashtextextended('{{ relation }}', 0))
{%- endmacro %}
