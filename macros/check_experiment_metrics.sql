{#-
    Runs before the seed of the experiments' metrics is loaded, on which every model of the job
    depends. It refuses an invalid CSV file with the line to fix, so nothing is written then.
-#}
{% macro check_experiment_metrics() -%}
    {%- if execute -%}
        {%- set wanted = ['metric_name', 'measure', 'event_name', 'denominator_event_name',
            'delay_hours', 'window_hours', 'cap', 'desired', 'role'] -%}
        {%- set seed = load_agate_table() -%}
        {%- if seed.column_names | list != wanted -%}
            {{ exceptions.raise_compiler_error(
                model.original_file_path ~ ' must have the columns '
                ~ wanted | join(',') ~ ', not ' ~ seed.column_names | join(',') ~ '.'
            ) }}
        {%- endif -%}
        {%- set names = [] -%}
        {%- for row in seed.rows -%}
            {%- set problem = metric_problem(row.dict(), names) | trim -%}
            {%- if problem -%}
                {{ exceptions.raise_compiler_error(
                    model.original_file_path ~ ', line ' ~ (loop.index + 1) ~ ': '
                    ~ problem
                ) }}
            {%- endif -%}
            {%- do names.append(row['metric_name']) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- What is wrong with a line, and what to write instead; blank if nothing is. -#}
{% macro metric_problem(line, names) -%}
    {%- set number = '[0-9]{1,9}([.][0-9]{1,9})?' -%}
    {%- set said = {} -%}
    {%- for column, value in line.items() -%}
        {%- do said.update({column: "not '" ~ (value or '') ~ "'."}) -%}
    {%- endfor -%}
    {%- set hours = {} -%}
    {%- for column in ('delay_hours', 'window_hours') -%}
        {%- set given = (line[column] or '') | string -%}
        {%- do hours.update(
            {column: given | float if modules.re.fullmatch(number, given) else -1}) -%}
    {%- endfor -%}
    {%- set cap = (line['cap'] or '') | string -%}
    {%- if not line['metric_name'] or line['metric_name'] | length > 100 -%}
        metric_name must be a name of 1 to 100 characters, {{ said['metric_name'] }}
    {%- elif line['metric_name'] in names -%}
        metric_name '{{ line['metric_name'] }}' is there already. Give each metric a name of its own.
    {%- elif line['measure'] not in ('any', 'count', 'ratio') -%}
        measure must be any, count or ratio, {{ said['measure'] }}
    {%- elif modules.re.search('^[|]|[|]$|[|][|]', line['event_name'] or '') -%}
        event_name must be event names joined by |, or empty for any event, {{ said['event_name'] }}
    {%- elif line['measure'] == 'ratio' and (
        not line['denominator_event_name']
        or modules.re.search('^[|]|[|]$|[|][|]', line['denominator_event_name'])
    ) -%}
        denominator_event_name of a ratio must be event names joined by |,
        {{- ' ' ~ said['denominator_event_name'] }}
    {%- elif line['measure'] != 'ratio' and line['denominator_event_name'] -%}
        denominator_event_name is for a ratio. Leave it empty, or write ratio as the measure.
    {%- elif hours['delay_hours'] < 0 -%}
        delay_hours must be a number from 0, {{ said['delay_hours'] }}
    {%- elif hours['window_hours'] <= 0 -%}
        window_hours must be a number above 0, {{ said['window_hours'] }}
    {%- elif hours['delay_hours'] + hours['window_hours'] > 179 * 24 -%}
        delay_hours and window_hours must be at most 4296 (179 days) together: older events are
        {{- ' not valid.' }}
    {%- elif cap and line['measure'] != 'count' -%}
        cap is for a count. Leave it empty, or write count as the measure.
    {%- elif cap and not modules.re.fullmatch('[1-9][0-9]{0,8}', cap) -%}
        cap must be empty or a whole number from 1, {{ said['cap'] }}
    {%- elif line['desired'] not in ('increase', 'decrease') -%}
        desired must be increase or decrease, {{ said['desired'] }}
    {%- elif line['role'] not in ('goal', 'secondary', 'guardrail') -%}
        role must be goal, secondary or guardrail, {{ said['role'] }}
    {%- endif -%}
{%- endmacro %}
