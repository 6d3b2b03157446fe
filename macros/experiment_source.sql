{#- The tables of experiments. An app may have none of them; if one is missing, all count as missing. -#}
{% macro experiment_tables() -%}
    {{ return(['assignments', 'experiments', 'experiment_variants']) }}
{%- endmacro %}

{% macro has_experiments() -%}
    {{ return(not missing_tables()) }}
{%- endmacro %}

{% macro missing_tables() -%}
    {%- set missing = [] -%}
    {%- if execute and model.resource_type != 'unit_test' -%}
        {%- for name in experiment_tables() -%}
            {%- set table = source('app', name).render() -%}
            {%- if run_query("select to_regclass('" ~ table ~ "')").rows[0][0] is none -%}
                {%- do missing.append(name) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(missing) }}
{%- endmacro %}

{#- One of them, or no row with these columns. -#}
{% macro experiment_source(table, columns) -%}
    {%- set relation = source('app', table) -%}
    {%- if has_experiments() -%}
    {{ relation }}
    {%- else -%}
    (
        select
            {%- for name, type in columns.items() %}
            cast(null as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
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
