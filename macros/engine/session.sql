{#-
    At the start of a run on Spark. A server has settings of its own, and one that does not take
    those of the profile would cut days elsewhere, in silence.
-#}
{% macro check_spark() -%}
    {%- if execute and not on_postgres() -%}
        {%- set zone = run_query('select current_timezone()').rows[0][0] -%}
        {%- if zone not in ('UTC', 'Etc/UTC') -%}
            {{ exceptions.raise_compiler_error(
                'Spark has times of ' ~ zone ~ ', and a run needs those of UTC. Give your profile the'
                ~ ' server_side_parameters of profiles.yml.example. Nothing was run.') }}
        {%- endif -%}
        {%- set logs = source('app', 'event_logs') -%}
        {%- if not lake_path() and not is_stored(logs) -%}
            {{ exceptions.raise_compiler_error(
                'Spark has no table ' ~ logs.identifier ~ ' in schema ' ~ logs.schema ~ '. Let'
                ~ ' LAKE_PATH name the folder of the lake, or SOURCE_SCHEMA the schema of Spark with'
                ~ ' the table. Nothing was run.') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
