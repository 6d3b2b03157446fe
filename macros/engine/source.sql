{#- A table of the app in `from`. On Spark it may be Parquet below LAKE_PATH. -#}
{% macro app_table(name) -%}
    {{ return(adapter.dispatch('app_table', 'analytics_rollups')(name)) }}
{%- endmacro %}

{% macro default__app_table(name) -%}
    {{ return(source('app', name)) }}
{%- endmacro %}

{#- The hook `open_lake` made a view of it, except for commands without hooks, such as compile. -#}
{% macro spark__app_table(name) -%}
    {%- set relation = source('app', name) -%}
    {%- if not lake_path() -%}
        {{ return(relation) }}
    {%- elif flags.WHICH in ('build', 'run', 'seed', 'snapshot', 'test') -%}
        {{ return('global_temp.' ~ lake_view(name)) }}
    {%- endif -%}
    {{ return('parquet.`' ~ (lake_path() ~ '/' ~ name) | replace('`', '``') ~ '`') }}
{%- endmacro %}

{% macro lake_path() -%}
    {{ return((env_var('LAKE_PATH', '') | trim).rstrip('/')) }}
{%- endmacro %}

{#- Sessions of one cluster share such views, so the name is that of the path. -#}
{% macro lake_view(name) -%}
    {{ return('rollup_' ~ local_md5(lake_path()) ~ '_' ~ name) }}
{%- endmacro %}

{#-
    At the start of a run on Spark: makes a view of each table of the lake. So its files are listed
    once, and all models read the same ones. Only the lake's root is certain to be there, so a first
    listing tells which tables are.
-#}
{% macro open_lake() -%}
    {%- if execute and not on_postgres() and lake_path() -%}
        {%- set found = run_query(
            "select distinct regexp_extract(path, '/(event_logs|assignments|experiment_variants"
            ~ "|experiments)/([^/]+=[^/]+/)*[^/]+$', 1) from binaryFile.`"
            ~ lake_path() | replace('`', '``')
            ~ "` with (recursiveFileLookup = true, pathGlobFilter = '*.parquet')"
        ).columns[0].values() | list -%}
        {%- if 'event_logs' not in found -%}
            {{ exceptions.raise_compiler_error(
                'LAKE_PATH, ' ~ lake_path() ~ ', has no event_logs/day=YYYY-MM-DD/*.parquet. Nothing'
                ~ ' was run.') }}
        {%- endif -%}
        {%- for name in ['event_logs'] + experiment_tables() -%}
            {%- if name in found -%}
                {%- do run_query(
                    'create or replace global temporary view ' ~ lake_view(name)
                    ~ ' using parquet options (path ' ~ string_literal(lake_path() ~ '/' ~ name)
                    ~ ')') -%}
            {%- else -%}
                {%- do run_query('drop view if exists global_temp.' ~ lake_view(name)) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#-
    The event log, without an alias: with `--empty` and `--sample`, dbt puts one behind it. What
    occurred before or after two times may be missing, so that Spark reads no more of the log's
    partitions, which are days of UTC.
-#}
{% macro event_logs(since=none, until=none) -%}
    {{ return(adapter.dispatch('event_logs', 'analytics_rollups')(since, until)) }}
{%- endmacro %}

{% macro default__event_logs(since=none, until=none) -%}
    (select * from {{ app_table('event_logs') }})
{%- endmacro %}

{% macro spark__event_logs(since=none, until=none) -%}
    (
        select * from {{ app_table('event_logs') }}
        {%- if since is not none and event_columns().get('day') == 'date' %}
        where day between date '{{ since.date() }}' and date '{{ until.date() }}'
        {%- endif %}
    )
{%- endmacro %}

{#-
    The event log, without an alias, where its events may be invalid. Of what lies between, Spark
    would open every file to see that its times are valid.
-#}
{% macro invalid_event_logs() -%}
    {{ return(adapter.dispatch('invalid_event_logs', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__invalid_event_logs() -%}
    {{ event_logs() }}
{%- endmacro %}

{% macro spark__invalid_event_logs() -%}
    (
        select * from {{ app_table('event_logs') }}
        {%- if event_columns().get('day') == 'date' %}
        where
            day <= date '{{ valid_from().date() }}'
            or day >= date '{{ valid_until().date() }}'
            or day is null
        {%- endif %}
    )
{%- endmacro %}

{#- The types of the event log's columns by name. `experiment_map` may be missing. -#}
{% macro event_columns() -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}
        {{ return({'experiment_map': 'jsonb'}) }}
    {%- endif -%}
    {{ return(adapter.dispatch('event_columns', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__event_columns() -%}
    {%- set types = {} -%}
    {%- for name, type in run_query(
        'select attname, cast(cast(atttypid as regtype) as text) from pg_attribute'
        ~ " where attrelid = to_regclass('" ~ source('app', 'event_logs').render() ~ "')"
        ~ ' and attnum > 0 and not attisdropped'
    ).rows -%}
        {%- do types.update({name: type}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}

{#- Asked for once per node, because Spark opens a file of the lake to know. -#}
{% macro spark__event_columns() -%}
    {%- if 'event_columns' not in model -%}
        {%- set types = {} -%}
        {%- for column in run_query(
            'describe query select * from ' ~ app_table('event_logs')).rows -%}
            {%- do types.update({column[0]: column[1]}) -%}
        {%- endfor -%}
        {%- do model.update({'event_columns': types}) -%}
    {%- endif -%}
    {{ return(model['event_columns']) }}
{%- endmacro %}

{#- Whether a column's type holds JSON. -#}
{% macro is_json(type) -%}
    {{ return(type == ('string' if target.type == 'spark' else 'jsonb')) }}
{%- endmacro %}

{#- Which tables of the app, besides the event log, are missing. -#}
{% macro missing_of(names) -%}
    {{ return(adapter.dispatch('missing_of', 'analytics_rollups')(names)) }}
{%- endmacro %}

{% macro default__missing_of(names) -%}
    {%- set missing = [] -%}
    {%- for name in names if not is_stored(source('app', name)) -%}
        {%- do missing.append(name) -%}
    {%- endfor -%}
    {{ return(missing) }}
{%- endmacro %}

{% macro spark__missing_of(names) -%}
    {%- if not lake_path() -%}
        {{ return(default__missing_of(names)) }}
    {%- endif -%}
    {%- if 'lake_views' not in model -%}
        {%- do model.update({'lake_views': run_query(
            'show views in global_temp').columns[1].values() | list}) -%}
    {%- endif -%}
    {%- set missing = [] -%}
    {%- for name in names if lake_view(name) not in model['lake_views'] -%}
        {%- do missing.append(name) -%}
    {%- endfor -%}
    {{ return(missing) }}
{%- endmacro %}

{#- Whether a table is in the database, by a look at the database itself. -#}
{% macro is_stored(relation) -%}
    {{ return(adapter.dispatch('is_stored', 'analytics_rollups')(relation)) }}
{%- endmacro %}

{#- dbt's own look-up knows no foreign tables. -#}
{% macro default__is_stored(relation) -%}
    {{ return(run_query("select to_regclass('" ~ relation.render() ~ "')").rows[0][0] is not none) }}
{%- endmacro %}

{% macro spark__is_stored(relation) -%}
    {{ return(
        adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none
    ) }}
{%- endmacro %}
