{#-
    JSON: jsonb in PostgreSQL, text in Spark, which is expected as jsonb prints it. So numbers have
    one form, and a key is there once.
-#}

{#-
    A JSON text as jsonb, or null if jsonb cannot hold it. A column of type json may contain what
    jsonb refuses, and what would fail the run: NUL, unpaired surrogates, and numbers beyond
    numeric. The first, cheap test suffices for most texts.
-#}
{% macro jsonb_of(text) -%}
    {{ return(adapter.dispatch('jsonb_of', 'analytics_rollups')(text)) }}
{%- endmacro %}

{% macro default__jsonb_of(text) -%}
    {%- set unescaped = "regexp_replace(" ~ text ~ ", '\\\\\\\\', '', 'g')" -%}
    {%- set without_pairs = "regexp_replace(" ~ unescaped ~ ", '\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..', '', 'g')" -%}
    {%- set outside_strings = "regexp_replace(" ~ unescaped ~ ", '\"([^\"\\\\]|\\\\.)*\"', '', 'g')" -%}
    case
        when {{ text }} !~ '\\u(0000|[dD][89a-fA-F])|[eE][+-]?[0-9]{5}|[0-9.]{255}'
            then cast({{ text }} as jsonb)
        when {{ without_pairs }} ~ '\\u(0000|[dD][89a-fA-F])' then null
        when {{ outside_strings }} ~ '[eE][+-]?[0-9]{5}' then null
        when {{ outside_strings }} ~ '[0-9.]{255}' and length({{ outside_strings }}) > 131072
            then null
        else cast({{ text }} as jsonb)
    end
{%- endmacro %}

{% macro spark__jsonb_of(text) -%}
    {{ text }}
{%- endmacro %}

{#- An object of expressions by name. -#}
{% macro json_object(pairs) -%}
    {{ return(adapter.dispatch('json_object', 'analytics_rollups')(pairs)) }}
{%- endmacro %}

{% macro default__json_object(pairs) -%}
    jsonb_build_object(
        {%- for name, value in pairs.items() %}
        '{{ name }}', {{ value }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{% macro spark__json_object(pairs) -%}
    to_json({{ spark_struct(pairs) }}, map('ignoreNullFields', 'false'))
{%- endmacro %}

{% macro spark_struct(pairs) -%}
    named_struct(
        {%- for name, value in pairs.items() %}
        '{{ name }}', {{ value }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- An array of such objects, of the rows of a group; nulls are last in the order. -#}
{% macro json_objects(pairs, order_by) -%}
    {{ return(adapter.dispatch('json_objects', 'analytics_rollups')(pairs, order_by)) }}
{%- endmacro %}

{% macro default__json_objects(pairs, order_by) -%}
    jsonb_agg(
        {{ json_object(pairs) }}
        order by {{ order_by | join(', ') }}
    )
{%- endmacro %}

{% macro spark__json_objects(pairs, order_by) -%}
    to_json(
        transform(
            array_sort(collect_list(struct(
                {%- for value in order_by %}
                {{ value }} is null as is_null_{{ loop.index }},
                {{ value }} as value_{{ loop.index }},
                {%- endfor %}
                {{ spark_struct(pairs) }} as object
            ))),
            item -> item.object
        ),
        map('ignoreNullFields', 'false')
    )
{%- endmacro %}

{#- Two objects, with different names, as one. -#}
{% macro json_merged(first, second) -%}
    {{ return(adapter.dispatch('json_merged', 'analytics_rollups')(first, second)) }}
{%- endmacro %}

{% macro default__json_merged(first, second) -%}
    {{ first }} || {{ second }}
{%- endmacro %}

{% macro spark__json_merged(first, second) -%}
    case
        when {{ second }} = '{}' then {{ first }}
        else left({{ first }}, length({{ first }}) - 1) || ',' || substr({{ second }}, 2)
    end
{%- endmacro %}

{#- A property of an object, as text. -#}
{% macro json_text(object, name) -%}
    {{ return(adapter.dispatch('json_text', 'analytics_rollups')(object, name)) }}
{%- endmacro %}

{% macro default__json_text(object, name) -%}
    {{ object }} ->> '{{ name }}'
{%- endmacro %}

{% macro spark__json_text(object, name) -%}
    get_json_object({{ object }}, '$.{{ name }}')
{%- endmacro %}

{#-
    Rows in `from lateral`: the pairs of a JSON object as two texts, scalar values only. A text that
    jsonb cannot hold, and a value that is not an object, have no pairs.
-#}
{% macro json_pairs(text, alias, key, value) -%}
    {{ return(adapter.dispatch('json_pairs', 'analytics_rollups')(text, alias, key, value)) }}
{%- endmacro %}

{#- `case` hides what is no object from jsonb_each, which would fail. -#}
{% macro default__json_pairs(text, alias, key, value) -%}
    {%- set json = jsonb_of(text) -%}
    (
        select
            pair.key,
            pair.value #>> '{}'
        from
            jsonb_each(case when jsonb_typeof({{ json }}) = 'object' then {{ json }} end) as pair
        where jsonb_typeof(pair.value) in ('string', 'number', 'boolean')
    ) as {{ alias }} ({{ key }}, {{ value }})
{%- endmacro %}

{% macro spark__json_pairs(text, alias, key, value) -%}
    (
        select
            substr(pair.key, 2),
            substr(pair.value, 2)
        from explode(from_json({{ marked_json(text) }}, 'map<string, string>')) as pair
        where startswith(pair.value, '=')
    ) as {{ alias }} ({{ key }}, {{ value }})
{%- endmacro %}

{#-
    For Spark: JSON in which every string begins with `=`, and numbers and booleans are strings, so
    that Spark's parser keeps their digits, and its texts of objects differ from strings.
-#}
{% macro marked_json(text) -%}
    regexp_replace(
        {{ text }},
        r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|(-?[0-9][0-9.eE+-]*|true|false)',
        '"=$1$2"'
    )
{%- endmacro %}

{#-
    The value of a name that an expression gives, as text, if it is a scalar and not the given one;
    else null. In PostgreSQL the JSON is jsonb, which is looked into quickly, or else text that may
    be anything.
-#}
{% macro json_other_value(events, column, json, name, value) -%}
    {{ return(adapter.dispatch('json_other_value', 'analytics_rollups')(
        events, column, json, name, value)) }}
{%- endmacro %}

{% macro default__json_other_value(events, column, json, name, value) -%}
    {%- set is_jsonb = event_columns().get(column, 'jsonb') == 'jsonb' -%}
    {%- set map = events ~ '.' ~ json if is_jsonb
        else '(' ~ jsonb_of(events ~ '.' ~ column) ~ ')' -%}
    case
        when
            {{ map }} ->> {{ name }} <> {{ value }}
            and jsonb_typeof({{ map }} -> {{ name }}) in ('string', 'number', 'boolean')
            then {{ map }} ->> {{ name }}
    end
{%- endmacro %}

{% macro spark__json_other_value(events, column, json, name, value) -%}
    {%- set found -%}
        from_json({{ marked_json(events ~ '.' ~ column) }}, 'map<string, string>')['=' || {{ name }}]
    {%- endset -%}
    case
        when startswith({{ found }}, '=') and {{ found }} <> '=' || {{ value }}
            then substr({{ found }}, 2)
    end
{%- endmacro %}

{#- What a path of names leads to in a JSON column, as text. -#}
{% macro json_path(column, names) -%}
    {{ return(adapter.dispatch('json_path', 'analytics_rollups')(column, names)) }}
{%- endmacro %}

{% macro default__json_path(column, names) -%}
    {{ column }} #>> array['{{ names | join("', '") }}']
{%- endmacro %}

{#-
    A number in the path is the name of a property there, not a place in an array. An object or an
    array gets the spaces that jsonb prints behind `,` and `:`. Strings may hold these, too; so each
    string and each other token is followed by a control character first, which JSON does not hold.
-#}
{% macro spark__json_path(column, names) -%}
    {%- set type = namespace(text='string') -%}
    {%- for name in names | reverse -%}
        {%- set type.text = 'struct<`=' ~ name ~ '`: ' ~ type.text ~ '>' -%}
    {%- endfor -%}
    {%- set found -%}
        from_json({{ marked_json(column) }}, '{{ type.text }}')
        {%- for name in names %}.`={{ name }}`{% endfor -%}
    {%- endset -%}
    {%- set compact -%}
        regexp_replace(
            get_json_object({{ column }}, "$['{{ names | join("']['") }}']"),
            r'("(?:[^"\\]|\\.)*+"|[^"\[\]{},:]+|[\]}])', '$1\u0001'
        )
    {%- endset -%}
    case
        when startswith({{ found }}, '=') then substr({{ found }}, 2)
        when {{ found }} is not null then replace(replace(replace(
            {{ compact }}, '\u0001,', ', '), '\u0001:', ': '), '\u0001', '')
    end
{%- endmacro %}
