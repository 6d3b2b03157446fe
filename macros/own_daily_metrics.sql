{#-
    Daily metrics of a project that uses this one as a package: a query with the columns day,
    metric_name, value, dimensions (jsonb) and horizon_days, and a row for each day. That project defines
    `default__own_daily_metrics` and lets `dispatch` look there first.
-#}
{% macro own_daily_metrics() -%}
    {{ return(adapter.dispatch('own_daily_metrics', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__own_daily_metrics() -%}
{%- endmacro %}
