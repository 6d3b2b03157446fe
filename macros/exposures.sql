{#- When the events that `experiment_statistics` reads begin: 14 days before the first exposure. -#}
{% macro before_exposure() -%}
    {{ return([window_start() - modules.datetime.timedelta(days=14), valid_from()] | max) }}
{%- endmacro %}

{#-
    When they end: the longest span of a metric after the last exposure. The seed is there when dbt
    compiles the model in a run; without it, as for the docs, the end is that of the valid events.
-#}
{% macro after_exposure() -%}
    {%- set seed = ref('experiment_metrics').render() -%}
    {%- set latest = valid_until() -%}
    {%- if execute and model.resource_type != 'unit_test'
        and run_query("select to_regclass('" ~ seed ~ "')").rows[0][0] is not none -%}
        {%- set hours = run_query('select max(delay_hours + window_hours) from ' ~ seed).rows[0][0] -%}
        {%- set ends = window_end() + modules.datetime.timedelta(hours=(hours or 0) | float) -%}
        {{ return([ends, latest] | min) }}
    {%- endif -%}
    {{ return(latest) }}
{%- endmacro %}

{#-
    The variant of an experiment that a map names, if not the given one; else null. A map of the
    event log is jsonb, which is looked into quickly, or else text that may be anything.
-#}
{% macro other_variant(events, experiment_id, variant_id) -%}
    {%- set is_jsonb = event_columns().get('experiment_map', 'jsonb') == 'jsonb' -%}
    {%- set map = events ~ '.stored_map' if is_jsonb
        else '(' ~ jsonb_of(events ~ '.experiment_map') ~ ')' -%}
    case
        when
            {{ map }} ->> {{ experiment_id }} <> {{ variant_id }}
            and jsonb_typeof({{ map }} -> {{ experiment_id }}) in ('string', 'number', 'boolean')
            then {{ map }} ->> {{ experiment_id }}
    end
{%- endmacro %}

{#- The mean over `users` of what has this sum; 0 without users. -#}
{% macro mean_of(total) -%}
    cast(coalesce({{ total }} / nullif(users, 0), 0) as double precision)
{%- endmacro %}

{#-
    The sum of the products of two numbers' deviations from their means, from exact sums: as whole
    numbers they lose no digits in the difference.
-#}
{% macro deviations_of(products, a, b) -%}
    cast(
        coalesce((users * {{ products }} - {{ a }} * {{ b }}) / nullif(users, 0), 0)
        as double precision
    )
{%- endmacro %}
