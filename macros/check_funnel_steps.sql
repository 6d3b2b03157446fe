{#-
    Runs before the seed of the funnels is loaded. It refuses an invalid CSV file with the line to
    fix, and adds the columns that a table of an earlier version lacks; Spark's are made anew. It
    calls no other macro of ours, which a project that uses this one as a package would not find.
-#}
{% macro check_funnel_steps() -%}
    {%- if execute -%}
        {%- set seed = load_agate_table() -%}
        {%- set wanted = ['funnel_name', 'step', 'step_name', 'event_name'] -%}
        {%- set columns = seed.column_names | list -%}
        {%- if columns not in (wanted, wanted + ['conversion_window_hours']) -%}
            {{ exceptions.raise_compiler_error(
                model.original_file_path ~ ' must have the columns ' ~ wanted | join(',')
                ~ ',conversion_window_hours, not ' ~ columns | join(',') ~ '. The column step'
                ~ ' numbers the steps of a funnel, 1 for the first; events of one step share its'
                ~ ' number. The last is how long after entry a step counts, 168 if it is empty.'
            ) }}
        {%- endif -%}
        {%- set names, numbers, windows = {}, {}, {} -%}
        {%- for row in seed.rows -%}
            {%- set place = model.original_file_path ~ ', line ' ~ (loop.index + 1) ~ ': ' -%}
            {%- set funnel, step, name = row[0], row[1], row[2] -%}
            {%- set hours = row.dict().get('conversion_window_hours') -%}
            {%- set hours = 168 if hours is none or hours == '' else hours -%}
            {%- if not step or not modules.re.fullmatch('[1-9][0-9]{0,3}', step | string) -%}
                {{ exceptions.raise_compiler_error(
                    place ~ "step must be a whole number from 1, not '" ~ step ~ "'.") }}
            {%- elif names.setdefault((funnel, step), name) != name -%}
                {{ exceptions.raise_compiler_error(
                    place ~ 'step ' ~ step ~ ' of ' ~ funnel ~ ' is ' ~ names[(funnel, step)]
                    ~ ' above and ' ~ name ~ ' here. Give each step a number of its own.') }}
            {%- elif numbers.setdefault((funnel, name), step) != step -%}
                {{ exceptions.raise_compiler_error(
                    place ~ name ~ ' of ' ~ funnel ~ ' is step ' ~ numbers[(funnel, name)]
                    ~ ' above and ' ~ step ~ ' here. Give a step one number.') }}
            {%- elif not modules.re.fullmatch('[0-9]{1,4}([.][0-9]{1,9})?', hours | string)
                or not 0 < hours | float <= 179 * 24 -%}
                {{ exceptions.raise_compiler_error(
                    place ~ 'conversion_window_hours must be a number above 0, at most 4296 (179'
                    ~ " days), or empty for 168, not '" ~ hours ~ "'.") }}
            {%- elif windows.setdefault(funnel, hours | float) != hours | float -%}
                {{ exceptions.raise_compiler_error(
                    place ~ 'conversion_window_hours of ' ~ funnel ~ ' is ' ~ windows[funnel]
                    ~ ' above and ' ~ hours ~ ' here. Give a funnel one window.') }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if target.type != 'spark' -%}
    alter table if exists {{ this }}
        add column if not exists step integer,
        add column if not exists conversion_window_hours double precision
    {%- endif -%}
{%- endmacro %}

{#-
    Runs after it: a file may lack the column, and dbt takes the type of a new one from the file's
    numbers, so that a later 0.5 would be rounded.
-#}
{% macro type_funnel_steps() -%}
    {%- if target.type != 'spark' -%}
    alter table {{ this }} add column if not exists conversion_window_hours double precision;
    alter table {{ this }} alter column conversion_window_hours type double precision
    {%- elif execute and 'conversion_window_hours' not in
        adapter.get_columns_in_relation(this) | map(attribute='name') -%}
    alter table {{ this }} add columns (conversion_window_hours double)
    {%- endif -%}
{%- endmacro %}
