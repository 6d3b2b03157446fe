{#-
    At the start of a run: fails if row level security hides events, or what the experiment job
    reads besides, from the role, because the numbers would be of a part without a sign of it. It
    follows views to their tables, which are read with the rights of the view's owner or, with
    `security_invoker`, of the caller. A policy that lets the role see everything is fine.
-#}
{% macro check_source() -%}
    {%- if on_postgres() and is_run(selected_resources) -%}
        {%- set names, read = [], ['event_logs'] -%}
        {%- if '.experiment_' in selected_resources | join(' ') -%}
            {%- do read.extend(experiment_tables()) -%}
        {%- endif -%}
        {%- for name in read -%}
            {%- do names.append("to_regclass('" ~ source('app', name).render() ~ "')") -%}
        {%- endfor -%}
        {%- for hidden in run_query(hidden_rows(names | join(', '))).rows -%}
            {{ exceptions.raise_compiler_error(hidden_rows_error(*hidden.values())) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro hidden_rows_error(role, relation, policies) -%}
    Role {{ role }} sees only some rows of {{ relation }}: row level security is on,
    {{- ' with ' ~ policies if policies else ' and no policy is for this role' -}}
    . Nothing was run. Give the role BYPASSRLS, or a policy `for select using (true)`.
{%- endmacro %}

{#- This one and the last use nothing of dbt: the command line asks before it calls dbt. -#}
{% macro hidden_rows(relations) -%}
    with recursive relations as (

        select
            oid,
            (select oid from pg_roles where rolname = current_user) as reader
        from unnest(array[{{ relations }}]) as oid
        union
        select
            pg_depend.refobjid,
            case
                when exists (
                    select 1
                    from pg_options_to_table(views.reloptions)
                    where option_name = 'security_invoker' and cast(option_value as boolean)
                ) then relations.reader
                else views.relowner
            end as reader
        from relations
        inner join pg_class as views on views.oid = relations.oid and views.relkind = 'v'
        inner join pg_rewrite on pg_rewrite.ev_class = views.oid
        inner join pg_depend
            on
                pg_depend.classid = cast('pg_rewrite' as regclass)
                and pg_depend.objid = pg_rewrite.oid
                and pg_depend.refclassid = cast('pg_class' as regclass)
                and pg_depend.refobjid <> views.oid

    ),

    protected as (

        select
            tables.oid,
            readers.oid as reader,
            readers.rolname
        from relations
        inner join pg_class as tables on tables.oid = relations.oid and tables.relrowsecurity
        inner join pg_roles as readers on readers.oid = relations.reader
        where
            not (readers.rolsuper or readers.rolbypassrls)
            and (
                tables.relforcerowsecurity
                or not pg_has_role(readers.oid, tables.relowner, 'usage')
            )

    ),

    policies as (

        select
            protected.oid,
            protected.reader,
            pg_policy.polname,
            pg_policy.polpermissive,
            coalesce(pg_get_expr(pg_policy.polqual, pg_policy.polrelid), 'true') = 'true' as is_open
        from protected
        inner join pg_policy
            on pg_policy.polrelid = protected.oid and pg_policy.polcmd in ('r', '*')
        where exists (
            select 1
            from unnest(pg_policy.polroles) as role
            where case when role = 0 then true else pg_has_role(protected.reader, role, 'usage') end
        )

    )

    select
        protected.rolname as role,
        cast(cast(protected.oid as regclass) as text) as relation,
        (
            select
                'policy '
                || string_agg(quote_ident(policies.polname), ', ' order by policies.polname)
            from policies
            where policies.oid = protected.oid and policies.reader = protected.reader
        ) as policies
    from protected
    where
        not exists (
            select 1
            from policies
            where
                policies.oid = protected.oid
                and policies.reader = protected.reader
                and policies.polpermissive
                and policies.is_open
        )
        or exists (
            select 1
            from policies
            where
                policies.oid = protected.oid
                and policies.reader = protected.reader
                and not policies.polpermissive
                and not policies.is_open
        )
{%- endmacro %}
