-- The four tables that the app's backend writes and this project only reads. They are
-- created here for a demo, a test or a loaded file; a real source brings its own.
-- `{schema}` is filled in by psycopg, so a brace of the SQL itself is written twice.
-- Every timestamp is a UTC wall clock to the millisecond, without a zone.

create table {schema}.event_logs (
    id text primary key,
    event_id text unique,
    anonymous_user_id text not null,
    session_id text not null,
    install_id text not null,
    platform text not null,
    app_version text,
    event_name text not null,
    occurred_at timestamp(3) not null,
    received_at timestamp(3) not null default current_timestamp,
    sent_at timestamp(3),
    properties jsonb not null default '{{}}',
    context jsonb not null default '{{}}',
    assignment_version int not null default 0,
    assignments jsonb not null default '{{}}',
    experiment_map jsonb,
    schema_version int not null default 1
);

-- No index on received_at: the jobs have to be quick without one.
create index on {schema}.event_logs (anonymous_user_id);
create index on {schema}.event_logs (session_id);
create index on {schema}.event_logs (event_name);
create index on {schema}.event_logs (occurred_at);

create table {schema}.assignments (
    id text primary key,
    anonymous_user_id text not null,
    experiment_id text not null,
    variant_id text not null,
    assigned_at timestamp(3) not null default current_timestamp,
    assignment_version int not null default 1,
    context jsonb not null default '{{}}',
    unique (anonymous_user_id, experiment_id)
);

create table {schema}.experiments (
    experiment_id text primary key,
    status text not null default 'DRAFT',
    start_at timestamp(3),
    end_at timestamp(3),
    targeting jsonb not null default '{{}}',
    config_schema_version int not null default 1,
    created_at timestamp(3) not null default current_timestamp,
    updated_at timestamp(3) not null default current_timestamp
);

create table {schema}.experiment_variants (
    id text primary key,
    experiment_id text not null,
    variant_id text not null,
    variant_name text not null,
    is_control boolean not null default false,
    weight double precision not null default 1,
    config jsonb not null default '{{}}',
    created_at timestamp(3) not null default current_timestamp,
    unique (experiment_id, variant_id)
);
