{#- When the events that `experiment_statistics` reads begin: 14 days before the first exposure. -#}
{% macro before_exposure() -%}
    {{ return([window_start() - modules.datetime.timedelta(days=14), valid_from()] | max) }}
{%- endmacro %}

{#-
    When they end: the longest span of a metric after the last exposure. The seed is there when dbt
    compiles the model in a run; without it, as for the docs, the end is that of the valid events.
-#}
{% macro after_exposure() -%}
    {%- set seed = ref('experiment_metrics') -%}
    {%- set latest = valid_until() -%}
    {%- if execute and model.resource_type != 'unit_test' and is_stored(seed) -%}
        {%- set hours = run_query('select max(delay_hours + window_hours) from ' ~ seed).rows[0][0] -%}
        {%- set ends = window_end() + modules.datetime.timedelta(hours=(hours or 0) | float) -%}
        {{ return([ends, latest] | min) }}
    {%- endif -%}
    {{ return(latest) }}
{%- endmacro %}

{#- The variant of an experiment that the map of an event names, if not the given one; else null. -#}
{% macro other_variant(events, experiment_id, variant_id) -%}
    {{ json_other_value(events, 'experiment_map', 'stored_map', experiment_id, variant_id) }}
{%- endmacro %}

{#- The mean over `users` of what has this sum; 0 without users. -#}
{% macro mean_of(total) -%}
    cast(coalesce({{ exact_quotient(total, 'users') }}, 0) as {{ sql_type('double precision') }})
{%- endmacro %}

{#-
    The sum of the products of two numbers' deviations from their means, from exact sums: as whole
    numbers they lose no digits in the difference.
-#}
{% macro deviations_of(products, a, b) -%}
    cast(
        coalesce({{ exact_quotient(
            '(users * ' ~ products ~ ' - ' ~ a ~ ' * ' ~ b ~ ')', 'users'
        ) }}, 0)
        as {{ sql_type('double precision') }}
    )
{%- endmacro %}
