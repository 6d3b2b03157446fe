{#-
    An id or a name as text that is compared byte by byte. Otherwise columns may have conflicting
    collations, which PostgreSQL refuses to compare, or one for which two different ids are equal.
-#}
{% macro text_id(column) -%}
    {{- cast_as(column, 'text') ~ by_bytes() -}}
{%- endmacro %}

{#-
    A name as part of a unique key. An index entry holds at most 2,704 bytes, so a name of more
    than 200 characters becomes its first 180, `~` and its SHA-256. Such a key has 245
    characters, more than any unshortened name, so no two names share a key.
-#}
{% macro dimension_key(name) -%}
    case
        when char_length({{ name }}) <= 200 then {{ name }}
        else left({{ name }}, 180) || '~' || {{ sha256_of(name) }}
    end
{%- endmacro %}

{#-
    An experiment's or a variant's id as part of a unique key. A source without an index on it may
    have ids that are too long for our index; they are shortened as in `dimension_key`. So is an
    id that looks like a shortened one, so that no two ids share a key.
-#}
{% macro id_key(id) -%}
    case
        when octet_length({{ id }}) <= 1200
            and not (char_length({{ id }}) = 245 and {{ matches(id, '~[0-9a-f]{64}$') }})
            then {{ id }}
        else left({{ id }}, 180) || '~' || {{ sha256_of(id) }}
    end
{%- endmacro %}

{#- `<experiment>:<variant>` as a key, or `overall` if the experiment is null. -#}
{% macro variant_key(experiment_id, variant_id) -%}
    case
        when {{ experiment_id }} is null then 'overall'
        else {{ dimension_key(escape_id(experiment_id) ~ " || ':' || " ~ escape_id(variant_id)) }}
    end
{%- endmacro %}

{#- `%` and `:` percent-encoded, so that two ids joined by `:` can be split again. -#}
{% macro escape_id(id) -%}
    replace(replace({{ id }}, '%', '%25'), ':', '%3A')
{%- endmacro %}
