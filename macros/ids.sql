{#-
    An id or a name as text that is compared byte by byte: columns of one kind may have different
    collations, which PostgreSQL refuses to compare, or one that takes two ids for the same.
-#}
{% macro text_id(column) -%}
    cast({{ column }} as text) collate "C"
{%- endmacro %}

{#-
    A name as part of a unique key. An index entry holds at most 2,704 bytes, so a name of more
    than 200 characters becomes its first 180, `~` and its SHA-256. Such a key has 245
    characters, which no name that is kept whole has, so no two names share a key.
-#}
{% macro dimension_key(name) -%}
    case
        when char_length({{ name }}) <= 200 then {{ name }}
        else left({{ name }}, 180) || '~' || encode(sha256(convert_to({{ name }}, 'UTF8')), 'hex')
    end
{%- endmacro %}

{#-
    An experiment's or a variant's id, which are columns of a unique key together. A source
    without an index on them may have ids that are too long for ours; such an id is shortened
    in the way of `dimension_key`. So is an id that looks like one that was shortened, which is
    what keeps any two apart.
-#}
{% macro id_key(id) -%}
    case
        when octet_length({{ id }}) <= 1200
            and not (char_length({{ id }}) = 245 and {{ id }} ~ '~[0-9a-f]{64}$')
            then {{ id }}
        else left({{ id }}, 180) || '~' || encode(sha256(convert_to({{ id }}, 'UTF8')), 'hex')
    end
{%- endmacro %}

{#- `<experiment>:<variant>` as a key, or `overall` where there is no experiment. -#}
{% macro variant_key(experiment_id, variant_id) -%}
    case
        when {{ experiment_id }} is null then 'overall'
        else {{ dimension_key(escape_id(experiment_id) ~ " || ':' || " ~ escape_id(variant_id)) }}
    end
{%- endmacro %}

{#- `%` and `:` percent-encoded, so that two ids joined by `:` can be told apart again. -#}
{% macro escape_id(id) -%}
    replace(replace({{ id }}, '%', '%25'), ':', '%3A')
{%- endmacro %}
