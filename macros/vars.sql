{#-
    At the start of a run: fails for a var given with --vars that this project does not have, such
    as a misspelt one, and for seeds outside of the project: dbt would write their SQL into them.
    In a project that uses this one as a package, others are that project's.
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
    {%- set seeds = env_var('ROLLUP_SEEDS', '') -%}
    {%- if execute and project_name == 'analytics_rollups'
        and (seeds.startswith('/') or '..' in seeds.split('/')) -%}
        {{ exceptions.raise_compiler_error(
            'ROLLUP_SEEDS: ' ~ seeds ~ ' is not in this project. Nothing was run. Name a folder in'
            ~ ' the project, such as my_seeds; it may be a symbolic link.') }}
    {%- endif -%}
{%- endmacro %}

{#-
    A var, or an environment variable, or the default. A unit test has the default, unless it says
    otherwise: its rows do not depend on the app.
-#}
{% macro setting(name, variable, default) -%}
    {%- if model is defined and model.resource_type == 'unit_test' -%}
        {{ return(((model.overrides or {}).vars or {}).get(name, default)) }}
    {%- endif -%}
    {{ return(var(name, none) or env_var(variable, '') | trim or default) }}
{%- endmacro %}

{#- Whether dbt reads only a part of the source, with `--empty` or `--sample`. -#}
{% macro is_partial_build() -%}
    {{ return(flags.EMPTY or invocation_args_dict.get('sample') is not none) }}
{%- endmacro %}
