-- Lists what would run code of other roles with the rights of the user of our tables, and tables
-- of a role that the current one is not a member of.
with ours as (
    select oid, relname, relkind, relowner
    from pg_class
    where relnamespace = to_regnamespace(quote_ident(%s)) and relname = any(%s)
),
parts as (
    select oid as relid, cast('pg_class' as regclass) as classid, oid as objid from ours
    union all
    select adrelid, cast('pg_attrdef' as regclass), oid from pg_attrdef
    union all
    select conrelid, cast('pg_constraint' as regclass), oid from pg_constraint
    union all
    select indrelid, cast('pg_class' as regclass), indexrelid from pg_index
)
select relname, 'is no table' from ours where relkind not in ('r', 'p')
union all
select relname, 'belongs to ' || pg_get_userbyid(relowner)
from ours where not pg_has_role(relowner, 'usage')
union all
select relname, 'has the trigger ' || tgname
from pg_trigger join ours on ours.oid = tgrelid where not tgisinternal
union all
select relname, 'has the rule ' || rulename from pg_rewrite join ours on ours.oid = ev_class
where relkind in ('r', 'p')
union all
select relname, 'has the policy ' || polname from pg_policy join ours on ours.oid = polrelid
union all
-- pg_depend has no row for what PostgreSQL itself brings along.
select distinct relname, 'uses ' || pg_describe_object(refclassid, refobjid, 0)
from pg_depend
join parts on parts.classid = pg_depend.classid and parts.objid = pg_depend.objid
join ours on ours.oid = relid
where
    refclassid in (
        cast('pg_proc' as regclass), cast('pg_operator' as regclass),
        cast('pg_type' as regclass), cast('pg_opclass' as regclass)
    )
order by 1, 2
