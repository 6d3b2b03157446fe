{#-
    How a rollup is written on Spark: dbt calls this for the strategy `insert_overwrite`. It
    replaces the partitions, which are days, that the computed rows have, one by one; a table
    without partitions as a whole. What a run may not change is minded where the rows are published.
-#}
{% macro get_insert_overwrite_sql(source_relation, target_relation, existing_relation) -%}
    {%- set columns = adapter.get_columns_in_relation(target_relation)
        | map(attribute='quoted') | join(', ') -%}
    {%- if is_partial_build() or (model.fqn[1] == 'experiment' and not has_experiments()) -%}
    -- What is computed is not of the whole source, so the rows stay.
    insert into {{ target_relation }}
    select {{ columns }} from {{ source_relation }} where false
    {%- else -%}
    insert overwrite table {{ target_relation }}
    {{ partition_cols(label='partition') }}
    select {{ columns }} from {{ source_relation }}
    {%- endif -%}
{%- endmacro %}

{#-
    After a rollup is written: the partitions of the window whose rows all vanished, which
    `insert overwrite` leaves, are dropped. Their rows are older than the run.
-#}
{% macro drop_emptied_days() -%}
    {%- set meta = config.get('meta', {}) -%}
    {%- set keys = config.get('partition_by') -%}
    {%- if execute and not on_postgres() and keys and not is_partial_build()
        and not (model.fqn[1] == 'experiment' and not has_experiments()) -%}
        {%- set keys = [keys] if keys is string else keys -%}
        {%- set emptied = [] -%}
        {%- for row in run_query(
            'select ' ~ keys | join(', ') ~ ' from ' ~ this ~ ' where ' ~ meets_days(meta, first_day(), last_day())
            ~ ' group by ' ~ keys | join(', ')
            ~ ' having max(computed_at) < ' ~ utc_literal(run_started_at)).rows -%}
            {%- set values = [] -%}
            {%- for key in keys -%}
                {%- do values.append(key ~ " = '" ~ row[loop.index0] ~ "'") -%}
            {%- endfor -%}
            {%- do emptied.append('partition (' ~ values | join(', ') ~ ')') -%}
        {%- endfor -%}
        {%- if emptied -%}
    alter table {{ this }} drop if exists {{ emptied | join(', ') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- dbt would write null as the text None, and a quote as it is. -#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types, rows = [], [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do types.append(model.config.column_types.get(
            name, adapter.convert_type(agate_table, loop.index0))) -%}
    {%- endfor -%}
    {%- for row in agate_table.rows -%}
        {%- set values = [] -%}
        {%- for value in row -%}
            {%- do values.append('cast(' ~ (
                'null' if value is none else string_literal(value | string)
            ) ~ ' as ' ~ types[loop.index0] ~ ')') -%}
        {%- endfor -%}
        {%- do rows.append('(' ~ values | join(', ') ~ ')') -%}
    {%- endfor -%}
    {%- set sql = 'insert into ' ~ this.render() ~ ' values ' ~ rows | join(', ') -%}
    {%- if rows -%}
        {%- do run_query(sql) -%}
    {%- endif -%}
    {{ return(sql) }}
{%- endmacro %}
