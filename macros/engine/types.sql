{#- Types by PostgreSQL's names, and what depends on them. -#}
{% macro sql_type(name) -%}
    {{ return(adapter.dispatch('sql_type', 'analytics_rollups')(name)) }}
{%- endmacro %}

{% macro default__sql_type(name) -%}
    {{ return(name) }}
{%- endmacro %}

{#- Spark's timestamps are instants. JSON is text there. -#}
{% macro spark__sql_type(name) -%}
    {{ return({
        'double precision': 'double', 'jsonb': 'string', 'text': 'string', 'timestamptz': 'timestamp'
    }.get(name, name)) }}
{%- endmacro %}

{% macro cast_as(expression, type) -%}
    {{ return('cast(' ~ expression ~ ' as ' ~ sql_type(type) ~ ')') }}
{%- endmacro %}

{#-
    A sum of whole numbers that cannot overflow. PostgreSQL's is numeric; Spark's would be a bigint.
-#}
{% macro exact_sum(number) -%}
    {{ return(adapter.dispatch('exact_sum', 'analytics_rollups')(number)) }}
{%- endmacro %}

{% macro default__exact_sum(number) -%}
    sum({{ number }})
{%- endmacro %}

{% macro spark__exact_sum(number) -%}
    sum(cast({{ number }} as decimal(20, 0)))
{%- endmacro %}

{#-
    An exact number divided by a whole one, as a double; null by 0. Spark keeps only six decimals of
    a quotient of two decimals.
-#}
{% macro exact_quotient(number, whole) -%}
    {{ return(adapter.dispatch('exact_quotient', 'analytics_rollups')(number, whole)) }}
{%- endmacro %}

{% macro default__exact_quotient(number, whole) -%}
    {{ number }} / nullif({{ whole }}, 0)
{%- endmacro %}

{% macro spark__exact_quotient(number, whole) -%}
    cast({{ number }} as double) / nullif({{ whole }}, 0)
{%- endmacro %}
