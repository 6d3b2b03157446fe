{#-
    What identifies a row among many: a number, which PostgreSQL joins and groups by faster than by
    the columns of the key. Spark would bring all rows to one machine to count them, and could
    count them in another order when it computes them again, so there it is the key.
-#}
{% macro row_id(key, type='bigint') -%}
    {{ return(adapter.dispatch('row_id', 'analytics_rollups')(key, type)) }}
{%- endmacro %}

{% macro default__row_id(key, type='bigint') -%}
    {{ 'row_number() over ()' if type == 'bigint' else 'cast(row_number() over () as ' ~ type ~ ')' }}
{%- endmacro %}

{% macro spark__row_id(key, type='bigint') -%}
    {{ key[0] if key | length == 1 else 'struct(' ~ key | join(', ') ~ ')' }}
{%- endmacro %}

{#- The same for a column of which rows have equal values. -#}
{% macro value_id(column) -%}
    {{ return(adapter.dispatch('value_id', 'analytics_rollups')(column)) }}
{%- endmacro %}

{% macro default__value_id(column) -%}
    dense_rank() over (order by {{ column }})
{%- endmacro %}

{% macro spark__value_id(column) -%}
    {{ column }}
{%- endmacro %}

{#- The number of a row among few, which have the key in `order by` on Spark. -#}
{% macro row_place(key) -%}
    {{ return(adapter.dispatch('row_place', 'analytics_rollups')(key)) }}
{%- endmacro %}

{% macro default__row_place(key) -%}
    row_number() over ()
{%- endmacro %}

{% macro spark__row_place(key) -%}
    row_number() over (order by {{ key | join(', ') }})
{%- endmacro %}

{#- The value of the row before in a window with a frame, which Spark's `lag` refuses. -#}
{% macro lag_in(column, window, order) -%}
    {{ return(adapter.dispatch('lag_in', 'analytics_rollups')(column, window, order)) }}
{%- endmacro %}

{% macro default__lag_in(column, window, order) -%}
    lag({{ column }}) over {{ window }}
{%- endmacro %}

{% macro spark__lag_in(column, window, order) -%}
    lag({{ column }}) over ({{ order }})
{%- endmacro %}
