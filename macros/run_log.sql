{#- The run log. It uses nothing of dbt: the command line creates the table with it, too. -#}
{% macro run_log_ddl(schema) -%}
create table if not exists {{ schema }}.rollup_runs (
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
alter table {{ schema }}.rollup_runs add column if not exists as_of timestamptz;
alter table {{ schema }}.rollup_runs add column if not exists ignored_by_rule jsonb;
alter table {{ schema }}.rollup_runs add column if not exists dbt_invocation_id text;
alter table {{ schema }}.rollup_runs add column if not exists holder text;
alter table {{ schema }}.rollup_runs add column if not exists kept_since timestamptz;
create index if not exists rollup_runs_latest
    on {{ schema }}.rollup_runs (job_name, started_at desc);
comment on table {{ schema }}.rollup_runs is 'One row per run of a job.';
comment on column {{ schema }}.rollup_runs.as_of is 'The instant that the run computed for.';
comment on column {{ schema }}.rollup_runs.ignored_count is
    'Events of the window, by occurred_at or received_at, that are not valid.';
comment on column {{ schema }}.rollup_runs.ignored_by_rule is
    'ignored_count by the rule that was broken.';
comment on column {{ schema }}.rollup_runs.holder is 'Process, host and database of the run.';
comment on column {{ schema }}.rollup_runs.kept_since is
    'Where the events of a purged source began; final rows were left alone.';
{%- endmacro %}

{#- In the schema of the rollups, which a project that uses this one as a package may choose. -#}
{% macro run_log() -%}
    {%- set schemas = window_models() | map(attribute='schema') | sort | list -%}
    {{ return(adapter.quote(schemas[0] if schemas else target.schema) ~ '.rollup_runs') }}
{%- endmacro %}

{#- At the start of plain dbt, which may be the first to run here. -#}
{% macro create_run_log() -%}
    {%- if on_postgres() and is_run(selected_resources) and var('log_run', true) and not is_partial_build() -%}
        {%- set found = run_query(
            "select 1 from pg_attribute where attrelid = to_regclass('" ~ run_log() ~ "')"
            ~ " and attname = 'kept_since' and not attisdropped") -%}
        {%- if not found.rows -%}
            {{ run_log_ddl(run_log().removesuffix('.rollup_runs')) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#-
    At the end of plain dbt, writes a row for each job whose rollup was built. Where the command
    line called dbt, it writes the rows itself: it also knows of runs that never got here.
-#}
{% macro log_runs(results, ignored) -%}
    {%- set rollups = results | selectattr('node.package_name', 'equalto', 'analytics_rollups')
        | selectattr('node.resource_type', 'equalto', 'model')
        | selectattr('node.config.meta.is_logged', 'defined') | list -%}
    {#- A job without its source tables computed nothing, so it did not run. -#}
    {%- set idle = [] if has_experiments() else ['experiment'] -%}
    {%- for rollup in rollups if rollup.status != 'skipped' and rollup.node.fqn[1] not in idle -%}
        {%- set job = rollup.node.fqn[1] -%}
        {%- set errors = [] -%}
        {%- for result in results
            if result.node.package_name == 'analytics_rollups' and result.node.fqn[1] == job
            and result.status in ('error', 'fail', 'runtime error') -%}
            {%- do errors.append(
                result.node.resource_type ~ ' ' ~ result.node.name ~ ': ' ~ result.message) -%}
        {%- endfor %}
insert into {{ run_log() }} (
    id, job_name, status, started_at, finished_at, window_start, window_end, as_of, rows_written,
    ignored_count, ignored_by_rule, error_text, dbt_invocation_id, holder, kept_since
)
select
    gen_random_uuid(),
    '{{ job }}',
    '{{ 'FAILED' if errors else 'SUCCESS' }}',
    {{ utc_literal(run_started_at) }},
    clock_timestamp(),
    {{ utc_literal(window_start()) }},
    {{ utc_literal(window_end()) }},
    {{ utc_literal(as_of()) }},
    {{ rollup.adapter_response.get('rows_affected', 0) | int }},
    {{ ignored.values() | sum }},
    '{{ tojson(ignored) }}',
    {{ "'" ~ errors | join('\n') | replace("'", "''") ~ "'" if errors else 'null' }},
    '{{ invocation_id }}',
    'plain dbt',
    cast(limits.kept_since as timestamptz)
from ({{ limits_query(
    api.Relation.create(schema=rollup.node.schema, identifier=rollup.node.alias), job,
    rollup.node.config.meta
) }}) as limits;
    {%- endfor -%}
{%- endmacro %}
