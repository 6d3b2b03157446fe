{#- The tables of experiments. An app may have none of them; if one is missing, all count as missing. -#}
{% macro experiment_tables() -%}
    {{ return(['assignments', 'experiments', 'experiment_variants']) }}
{%- endmacro %}

{% macro has_experiments() -%}
    {{ return(not missing_tables()) }}
{%- endmacro %}

{% macro missing_tables() -%}
    {%- if execute and model.resource_type != 'unit_test' -%}
        {{ return(missing_of(experiment_tables())) }}
    {%- endif -%}
    {{ return([]) }}
{%- endmacro %}

{#- One of them, or no row with these columns. -#}
{% macro experiment_source(table, columns) -%}
    {%- set relation = app_table(table) -%}
    {%- if has_experiments() -%}
    {{ relation }}
    {%- else -%}
    (
        select
            {%- for name, type in columns.items() %}
            {{ cast_as('null', type) }} as {{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        where false
    ) as missing
    {%- endif -%}
{%- endmacro %}

{#- At the start of a run: says that job experiment has nothing to do. -#}
{% macro note_missing_experiments() -%}
    {%- if is_run(selected_resources)
        and 'model.analytics_rollups.experiment_metric_rollups' in selected_resources -%}
        {%- set missing = missing_tables() -%}
        {%- if missing -%}
            {%- set note = 'Job experiment wrote nothing: the source has no '
                ~ missing | join(', no ') ~ '.' -%}
            {%- do log(note, info=true) -%}
            {%- do log('limits: ' ~ tojson(
                {'job': 'experiment', 'kept_since': none, 'notes': [note], 'idle': true})) -%}
        {%- elif 'experiment_map' not in event_columns() -%}
            {{ exceptions.raise_compiler_error(
                'event_logs has no column experiment_map, by which job experiment finds users who'
                ~ ' changed their variant. Nothing was run. A view may add it, null where it is'
                ~ ' unknown.') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
