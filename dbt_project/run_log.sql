create table if not exists {schema}.rollup_runs (
    id uuid primary key default gen_random_uuid(),
    job_name text not null,
    status text not null check (status in ('RUNNING', 'SUCCESS', 'FAILED')),
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    window_start timestamptz not null,
    window_end timestamptz not null,
    rows_written integer not null default 0,
    ignored_count integer not null default 0,
    error_text text
);
-- Added one by one, so that a table that came from another system gets them too.
alter table {schema}.rollup_runs add column if not exists as_of timestamptz;
alter table {schema}.rollup_runs add column if not exists ignored_by_rule jsonb;
alter table {schema}.rollup_runs add column if not exists dbt_invocation_id text;
alter table {schema}.rollup_runs add column if not exists holder text;
create index if not exists rollup_runs_latest on {schema}.rollup_runs (job_name, started_at desc);
comment on table {schema}.rollup_runs is 'One row per run of a job by the command line.';
comment on column {schema}.rollup_runs.as_of is 'The instant that the run computed for.';
comment on column {schema}.rollup_runs.ignored_count is
    'Events of the window, by occurred_at or received_at, that are not valid.';
comment on column {schema}.rollup_runs.ignored_by_rule is 'ignored_count by the rule that was broken.';
comment on column {schema}.rollup_runs.holder is 'Process and host that run, or ran, the job.';
