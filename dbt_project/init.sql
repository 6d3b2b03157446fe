-- What `init` executes and `init --dry-run` prints, below the settings that it reads: the schemas
-- rollup.source and rollup.analytics, rollup.writer (a role or empty), and as JSON arrays
-- rollup.readers and rollup.tables (this project's). The schema and the run log are created before
-- (run_log.sql), in the same transaction. Run again, it changes nothing.
do $init$
declare
    place constant text := current_setting('rollup.analytics');
    writer constant text := current_setting('rollup.writer');
    tables constant jsonb := current_setting('rollup.tables');
    creator text := writer;
    item text;
begin
    if writer <> '' then
        -- Most databases let every role connect and create temporary tables.
        foreach item in array array['connect', 'temporary'] loop
            if not has_database_privilege(writer, current_database(), item) then
                execute format('grant %s on database %I to %I', item, current_database(), writer);
            end if;
        end loop;
        execute format(
            'grant usage on schema %1$I to %2$I; grant usage, create on schema %3$I to %2$I',
            current_setting('rollup.source'), writer, place
        );
        -- An app without experiments has the first of these only.
        for item in
            select cast(pg_class.oid as regclass) from pg_class
            where relnamespace = to_regnamespace(quote_ident(current_setting('rollup.source')))
            and relkind in ('r', 'p', 'v', 'm', 'f')
            and relname in ('event_logs', 'assignments', 'experiments', 'experiment_variants')
        loop
            execute format('grant select on %s to %I', item, writer);
        end loop;
        -- Only a table's owner may add columns, indexes and rights, as dbt does.
        for item in
            select relname from pg_class
            where relnamespace = to_regnamespace(quote_ident(place))
            and tables ? cast(relname as text) and not pg_has_role(writer, relowner, 'usage')
        loop
            execute format('alter table %I.%I owner to %I', place, item, writer);
        end loop;
    else
        select pg_get_userbyid(relowner) into creator from pg_class
        where relnamespace = to_regnamespace(quote_ident(place)) and relname = 'rollup_runs';
    end if;
    -- A reader reads the rollups, also those that are created later. A new writer takes over the
    -- readers whom an earlier `init --reader` let read what another role creates.
    for item in
        select jsonb_array_elements_text(cast(current_setting('rollup.readers') as jsonb))
        union
        select rolname from pg_default_acl, aclexplode(defaclacl) join pg_roles on oid = grantee
        where writer <> '' and defaclnamespace = to_regnamespace(quote_ident(place))
        and defaclobjtype = 'r' and privilege_type = 'SELECT'
    loop
        continue when item = creator;
        if not has_database_privilege(item, current_database(), 'connect') then
            execute format('grant connect on database %I to %I', current_database(), item);
        end if;
        execute format(
            'grant usage on schema %1$I to %2$I; grant select on all tables in schema %1$I to %2$I;'
            ' alter default privileges for role %3$I in schema %1$I grant select on tables to %2$I',
            place, item, creator
        );
    end loop;
end
$init$;
