{#-
    The most steps of a funnel, and the longest conversion window in hours. The seed is there when
    dbt compiles a model in a run; otherwise these are what is usual.
-#}
{% macro funnel_limits() -%}
    {%- set seed = ref('funnel_steps') -%}
    {%- if execute and model.resource_type != 'unit_test' and is_stored(seed) -%}
        {%- set found = run_query(
            'select max(steps) as steps, max(hours) as hours from (select count(distinct step_name)'
            ~ ' as steps, max(coalesce(conversion_window_hours, 168)) as hours from ' ~ seed
            ~ ' group by funnel_name) as funnels').rows[0] -%}
        {{ return({'steps': (found['steps'] or 1) | int, 'hours': (found['hours'] or 0) | float}) }}
    {%- endif -%}
    {{ return({'steps': 6, 'hours': 168}) }}
{%- endmacro %}

{#- When the events that funnels read end: the longest conversion window after the last day. -#}
{% macro conversions_until() -%}
    {{ return(window_end() + modules.datetime.timedelta(hours=funnel_limits()['hours'])) }}
{%- endmacro %}
