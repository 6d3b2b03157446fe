{#-
    A step that several models or parts of one read: PostgreSQL computes it within the model, Spark
    stores it in a table. Rows of another run would be read as if they were this one's, so that is
    refused.
-#}
{% macro working(step) -%}
    {%- if execute and not on_postgres() and flags.WHICH in ('run', 'build', 'retry') -%}
        {%- set noted = namespace(run=none) -%}
        {%- for name, value in (fetch_tbl_properties(step).rows if is_stored(step) else [])
            if name == 'rollup.run' -%}
            {%- set noted.run = value -%}
        {%- endfor -%}
        {%- if noted.run != invocation_id -%}
            {%- do exceptions.raise_compiler_error(
                step.identifier ~ ' has no rows of this run. Nothing was written to '
                ~ model.name ~ '. Select the whole job, here ' ~ model.fqn[1] ~ ', or +'
                ~ model.name ~ ', which includes it.') -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(step) }}
{%- endmacro %}

{#- After such a step is stored on Spark: the run that it is of. -#}
{% macro note_run() -%}
    {%- if execute and not on_postgres() -%}
    alter table {{ this }} set tblproperties ('rollup.run' = '{{ invocation_id }}')
    {%- endif -%}
{%- endmacro %}
