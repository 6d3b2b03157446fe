{#-
    Lets every reader of the schema read what was just written: the roles that its default
    privileges name, where `init --reader` puts them. Default privileges alone would miss a
    table that another role builds than the one they were set for.

    dbt calls this after each model and seed. Its own version revokes what the configuration
    `grants` does not list, and so would shut out readers whom only the database knows; this one
    adds, and takes nothing away.
-#}
{% macro postgres__apply_grants(relation, grant_config, should_revoke) -%}
    {%- set readers = run_query(readers_without_grant(relation)).columns[0].values() -%}
    {%- if readers -%}
        {%- call statement('grant_to_readers') -%}
            grant select on {{ relation }} to {{ readers | join(', ') }}
        {%- endcall -%}
    {%- endif -%}
    {{ return(dbt.default__apply_grants(relation, grant_config, should_revoke=false)) }}
{%- endmacro %}

{% macro readers_without_grant(relation) -%}
    select distinct quote_ident(readers.rolname)
    from pg_class as relations
    inner join pg_default_acl as defaults on defaults.defaclnamespace = relations.relnamespace
    cross join lateral aclexplode(defaults.defaclacl) as granted
    inner join pg_roles as readers on readers.oid = granted.grantee
    where
        relations.oid = cast('{{ relation }}' as regclass)
        and defaults.defaclobjtype = 'r'
        and granted.privilege_type = 'SELECT'
        and not has_table_privilege(readers.oid, relations.oid, 'select')
{%- endmacro %}
