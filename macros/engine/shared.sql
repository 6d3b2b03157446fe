{#-
    At the end of a CTE that several others read, after `where`, `and` or `having`: Spark computes
    it once. It would put the CTE's text in the place of each reference, unless the rows depend on
    chance, of which this condition, always true, is all.
-#}
{% macro computed_once(keyword) -%}
    {{ return(adapter.dispatch('computed_once', 'analytics_rollups')(keyword)) }}
{%- endmacro %}

{% macro default__computed_once(keyword) -%}
    {{ return('') }}
{%- endmacro %}

{% macro spark__computed_once(keyword) -%}
    {{ return(keyword ~ ' rand() < 2') }}
{%- endmacro %}
