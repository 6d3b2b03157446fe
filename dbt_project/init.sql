-- What `init` executes and `init --dry-run` prints, part by part. psycopg fills in the names in
-- braces. The schema and the run log, from run_log.sql, come first. Every statement may be run
-- again. All but the indexes is one transaction.

-- part: connect
grant RIGHTS on database {database} to {role};

-- part: writer
-- The writer reads the source and creates tables, temporary ones too.
grant usage on schema {source} to {role};
grant select on {tables} to {role};
grant usage, create on schema {analytics} to {role};

-- part: owner
-- Only a table's owner may add columns, indexes and rights, as dbt does.
alter table {table} owner to {role};

-- part: reader
-- A reader reads the rollups, also those that the writer is going to create.
grant usage on schema {analytics} to {role};
grant select on all tables in schema {analytics} to {role};
alter default privileges for role {creator} in schema {analytics}
grant select on tables to {role};

-- part: event_logs_user_occurred_at
-- Finds a user's first event.
create index concurrently if not exists event_logs_user_occurred_at
on {event_logs} using btree (anonymous_user_id, occurred_at);

-- part: event_logs_received_at_brin
-- Finds what was received lately, to count invalid events in a source that keeps over 180 days.
create index concurrently if not exists event_logs_received_at_brin
on {event_logs} using brin (received_at);

-- part: leftover
-- A build that was interrupted left an index that costs every insert and serves no query.
drop index concurrently if exists {index};
