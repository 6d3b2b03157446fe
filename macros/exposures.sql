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
    {%- set map = events ~ '.stored_map' if maps_are_jsonb()
        else '(' ~ jsonb_of(events ~ '.experiment_map') ~ ')' -%}
    case
        when
            {{ map }} ->> {{ experiment_id }} <> {{ variant_id }}
            and jsonb_typeof({{ map }} -> {{ experiment_id }}) in ('string', 'number', 'boolean')
            then {{ map }} ->> {{ experiment_id }}
    end
{%- endmacro %}

{#- Whether the column experiment_map of the event log is jsonb. -#}
{% macro maps_are_jsonb() -%}
    {%- if not execute -%}
        {{ return(true) }}
    {%- endif -%}
    {{ return(run_query(
        "select 1 from pg_attribute where attrelid = to_regclass('" ~ source('app', 'event_logs')
        ~ "') and attname = 'experiment_map' and atttypid = cast('jsonb' as regtype)"
    ).rows | length > 0) }}
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

{#- The name of the event that `$key_event` stands for. -#}
{% macro key_event() -%}
    session_submitted
{%- endmacro %}
