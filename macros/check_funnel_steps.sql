{#-
    Runs before the seed of the funnels is loaded. It refuses an invalid CSV file with the line to
    fix, and adds the column `step` to a table of an earlier version.
-#}
{% macro check_funnel_steps() -%}
    {%- if execute -%}
        {%- set seed = load_agate_table() -%}
        {%- set wanted = ['funnel_name', 'step', 'step_name', 'event_name'] -%}
        {%- if seed.column_names | list != wanted -%}
            {{ exceptions.raise_compiler_error(
                'seeds/funnel/funnel_steps.csv must have the columns ' ~ wanted | join(',')
                ~ ', not ' ~ seed.column_names | join(',') ~ '. The column step numbers the steps'
                ~ ' of a funnel, 1 for the first; events of one step share its number.'
            ) }}
        {%- endif -%}
        {%- set names, numbers = {}, {} -%}
        {%- for row in seed.rows -%}
            {%- set place = 'seeds/funnel/funnel_steps.csv, line ' ~ (loop.index + 1) ~ ': ' -%}
            {%- set funnel, step, name = row[0], row[1], row[2] -%}
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
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    alter table if exists {{ this }} add column if not exists step integer
{%- endmacro %}
