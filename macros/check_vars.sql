{#-
    At the start of a run: fails for a var given with --vars that this project does not have, such
    as a misspelt one. In a project that uses this one as a package, others are that project's.
-#}
{% macro check_vars() -%}
    {%- set known = [
        'allow_purged', 'as_of', 'dimensions', 'from', 'key_event', 'log_run', 'source_schema',
        'timezone', 'to', 'window_days'
    ] -%}
    {%- if is_run(selected_resources) and project_name == 'analytics_rollups' -%}
        {%- set given = invocation_args_dict.get('vars') or {} -%}
        {%- for name in (fromyaml(given) if given is string else given) if name not in known -%}
            {{ exceptions.raise_compiler_error(
                "Unknown var '" ~ name ~ "'. Nothing was run. There are " ~ known | join(', ')
                ~ '.') }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
