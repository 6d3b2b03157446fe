{#-
    Rows from expressions, in `from`. `columns` are their types by name; each row is a list of
    expressions, of which PostgreSQL takes the types as they are. `lateral` stands before it where
    they refer to other tables.
-#}
{% macro value_rows(alias, columns, rows) -%}
    {{ return(adapter.dispatch('value_rows', 'analytics_rollups')(alias, columns, rows)) }}
{%- endmacro %}

{% macro default__value_rows(alias, columns, rows) -%}
    (
        values
        {%- for row in rows %}
        ({{ row | join(', ') }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) as {{ alias }} ({{ columns | join(', ') }})
{%- endmacro %}

{#- Spark evaluates nothing in `values` that refers to another table. -#}
{% macro spark__value_rows(alias, columns, rows) -%}
    inline(array(
        {%- for row in rows %}
        named_struct(
            {%- for name, type in columns.items() %}
            '{{ name }}', {{ cast_as(row[loop.index0], type) }}{{ ',' if not loop.last }}
            {%- endfor %}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    )) as {{ alias }} ({{ columns | join(', ') }})
{%- endmacro %}

{#- The whole numbers from one to another as rows, in `from`; none if the second is less. -#}
{% macro series(first, last, column) -%}
    {{ return(adapter.dispatch('series', 'analytics_rollups')(first, last, column)) }}
{%- endmacro %}

{% macro default__series(first, last, column) -%}
    generate_series({{ first }}, {{ last }}) as {{ column }}
{%- endmacro %}

{#- Spark's sequence would count down, and its division is not of whole numbers. -#}
{% macro spark__series(first, last, column) -%}
    explode(
        filter(
            sequence({{ first }}, greatest(cast({{ last }} as int), {{ first }})),
            place -> place <= {{ last }}
        )
    ) as series ({{ column }})
{%- endmacro %}

{#- The days of the window as a query, in the column `day`. -#}
{% macro window_spine() -%}
    {{ return(adapter.dispatch('window_spine', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__window_spine() -%}
    select cast('{{ first_day() }}' as date) + day_number as day
    from generate_series(0, {{ (last_day() - first_day()).days }}) as day_number
{%- endmacro %}

{% macro spark__window_spine() -%}
    select explode(sequence(date '{{ first_day() }}', date '{{ last_day() }}')) as day
{%- endmacro %}

{#- The parts of a text as rows, joined to those before; one row with null if the text is null. -#}
{% macro join_parts(text, separator, alias, column) -%}
    {{ return(adapter.dispatch('join_parts', 'analytics_rollups')(text, separator, alias, column)) }}
{%- endmacro %}

{% macro default__join_parts(text, separator, alias, column) -%}
    left join lateral (
        select *
        from unnest(string_to_array({{ text }}, '{{ separator }}'))
    ) as {{ alias }} ({{ column }}) on true
{%- endmacro %}

{% macro spark__join_parts(text, separator, alias, column) -%}
    cross join lateral explode_outer(split({{ text }}, '[{{ separator }}]')) as {{ alias }} ({{ column }})
{%- endmacro %}

{#- A list of expressions as rows, in `from`. -#}
{% macro list_rows(list, alias, column) -%}
    {{ return(adapter.dispatch('list_rows', 'analytics_rollups')(list, alias, column)) }}
{%- endmacro %}

{% macro default__list_rows(list, alias, column) -%}
    unnest(array[{{ list }}]) as {{ alias }} ({{ column }})
{%- endmacro %}

{% macro spark__list_rows(list, alias, column) -%}
    (select explode(array({{ list }})) as {{ column }}) as {{ alias }}
{%- endmacro %}

{#-
    Joins to the row before those of a CTE, called `metrics` in the condition, that match; and one
    row of its own where `alone` holds. `columns` are what that row has by name, `others` the CTE's
    columns that only the condition reads.

    In PostgreSQL a lateral subquery goes through the few rows of the CTE for each row before,
    whatever the planner thinks of their number; so does Spark in a join without an equality.
-#}
{% macro join_matching(rows, columns, others, matches, alone) -%}
    {{ return(adapter.dispatch('join_matching', 'analytics_rollups')(
        rows, columns, others, matches, alone)) }}
{%- endmacro %}

{% macro default__join_matching(rows, columns, others, matches, alone) -%}
    cross join lateral (
        select
            {%- for name in columns %}
            metrics.{{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ rows }} as metrics
        where {{ matches }}
        union all
        select
            {%- for name, value in columns.items() %}
            {{ value }} as {{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        where {{ alone }}
        limit all offset 0
    ) as {{ rows }}
{%- endmacro %}

{% macro spark__join_matching(rows, columns, others, matches, alone) -%}
    inner join (
        select
            {{ (columns | list + others) | join(', ') }},
            false as is_alone
        from {{ rows }}
        union all
        select
            {{ columns.values() | join(', ') }},
            {%- for _ in others %}
            null,
            {%- endfor %}
            true as is_alone
    ) as {{ rows }}
        on case
            when {{ rows }}.is_alone then {{ alone }}
            else {{ matches | replace('metrics.', rows ~ '.') }}
        end
{%- endmacro %}
