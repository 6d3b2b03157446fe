{#- The var `dimensions`, checked: names of columns of the event log, or paths into jsonb ones. -#}
{% macro dimensions() -%}
    {%- set given = var('dimensions', []) -%}
    {%- if given is string or given is mapping or given is not iterable -%}
        {{ exceptions.raise_compiler_error(
            "dimensions must be a list such as [platform, properties.source], not '" ~ given ~ "'.") }}
    {%- endif -%}
    {%- for dimension in given -%}
        {%- if dimension is not string or dimension | length > 100
            or not modules.re.fullmatch('[\\w$ -]+([.][\\w$ -]+)*', dimension) -%}
            {{ exceptions.raise_compiler_error(
                'dimensions must be columns of event_logs, or paths into them such as'
                ~ " properties.source, of letters, digits, _, -, $ and spaces; not '"
                ~ dimension ~ "'.") }}
        {%- endif -%}
    {%- endfor -%}
    {%- if given | unique(case_sensitive=true) | list | length < given | length -%}
        {{ exceptions.raise_compiler_error(
            'dimensions must not name one twice: ' ~ given | join(', ') ~ '.') }}
    {%- endif -%}
    {{ return(given | list) }}
{%- endmacro %}

{#- At the start of a run: fails unless the event log has the columns that dimensions name. -#}
{% macro check_dimensions() -%}
    {%- if is_run(selected_resources) -%}
        {%- set types = event_columns() -%}
        {%- for dimension in dimensions() if types -%}
            {%- set column = dimension.split('.')[0] -%}
            {%- if column not in types -%}
                {{ exceptions.raise_compiler_error(
                    'dimensions names ' ~ dimension ~ ', but event_logs has no column ' ~ column
                    ~ '. Name others in dbt_project.yml, or none: [].') }}
            {%- elif '.' in dimension and not is_json(types[column]) -%}
                {{ exceptions.raise_compiler_error(
                    'dimensions names the path ' ~ dimension ~ ', but the column ' ~ column
                    ~ ' is ' ~ types[column] ~ ', not jsonb. A view may cast it.') }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro dimension_value(dimension, logs) -%}
    {%- set path = dimension.split('.') -%}
    {%- set column = logs ~ '.' ~ adapter.quote(path[0]) -%}
    {{ text_id(column if path | length == 1
        else json_path(column, path[1:])) }}
{%- endmacro %}

{#-
    A subquery: the rows of a CTE, once for each dimension, with `dimension_key` in place of the
    columns `dimension_1` and so on. Of each dimension the 20 values with most users among the rows
    that fulfil `counted` keep their names.

    A key has no raw colon, unlike those of variants, which may stand in the same column.
-#}
{% macro with_dimension_keys(rows, columns, counted='true') -%}
    (
        {%- if not dimensions() %}
        select
            {% for column in columns %}{{ column }}, {% endfor -%}
            {{ cast_as('null', 'text') }} as dimension_key
        from {{ rows }}
        where false
        {%- else %}
        with user_values as (

            select distinct
                dimension.name,
                dimension.value,
                rows.anonymous_user_id
            from {{ rows }} as rows
            cross join lateral {{ dimension_columns('rows') }}
            where dimension.value is not null and {{ counted }}

        ),

        ranked as (

            select
                name,
                value,
                name || '=' || case
                    when value in ('(none)', '(other)') then replace(value, '(', '%28')
                    else {{ escape_id('value') }}
                end as key,
                row_number() over (
                    partition by name order by count(anonymous_user_id) desc, value
                ) as place
            from user_values
            group by 1, 2

        ),

        named as (

            select
                name,
                value,
                {{ dimension_key('key') }} as dimension_key
            from ranked
            where place <= 20

        )

        select
            {%- for column in columns %}
            rows.{{ column }},
            {%- endfor %}
            case
                when dimension.value is null then dimension.name || '=(none)'
                else coalesce(named.dimension_key, dimension.name || '=(other)')
            end as dimension_key
        from {{ rows }} as rows
        cross join lateral {{ dimension_columns('rows') }}
        left join named on named.name = dimension.name and named.value = dimension.value
        {%- endif %}
    )
{%- endmacro %}

{% macro dimension_columns(rows) -%}
    {%- set pairs = [] -%}
    {%- for dimension in dimensions() -%}
        {%- do pairs.append(["'" ~ dimension ~ "'", rows ~ '.dimension_' ~ loop.index]) -%}
    {%- endfor -%}
    {{ value_rows('dimension', {'name': 'text', 'value': 'text'}, pairs) }}
{%- endmacro %}

{#- The columns `dimension_1` and so on, each after a comma; `expression` may compute them. -#}
{% macro each_dimension(expression='{}') -%}
    {%- for _ in dimensions() -%}
    {%- set column = 'dimension_' ~ loop.index -%}
    , {{ expression.replace('{}', column) }} {{- '' if expression == '{}' else ' as ' ~ column }}
    {%- endfor -%}
{%- endmacro %}
