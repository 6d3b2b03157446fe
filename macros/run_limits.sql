{#-
    What a run may not change in a rollup, as one row; the window strategy obeys it. It uses
    nothing of dbt, so that `--allow-purged` can ask the same question before a run.

    A source is purged if its valid events begin in the window while the rollup knows of earlier
    ones. Then a user whose past is gone looks new, and half a day looks like a day, so final rows
    stay. `kept_since` in the run log remembers where the events began, because one old event that
    arrives late would move the beginning back.

    `meta` says of the rollup: `shows_events`, whether a row shows that the source had events;
    `looks_back`, of how many days before the window a row needs the events; and as `days` the
    first day of a row, its last, and the one since which it needs the events.

    An older run is one as of an earlier time than a run whose rows are in place.
-#}
{% macro run_limits(
    event_logs, rollup, run_log, job, meta, as_of, valid_from, valid_until,
    first_day, last_day, timezone
) -%}
    {%- set first, last, since = row_day(meta, 'first'), row_day(meta, 'last'), row_day(meta, 'since') %}
    with source as (

        select cast(min(occurred_at) as timestamptz) as begins
        from {{ event_logs }}
        where occurred_at >= {{ valid_from }} and occurred_at <= {{ valid_until }}

    ),

    earlier_runs as (

        select
            max(kept_since) as kept_since,
            max(as_of) filter (
                where
                    (status = 'SUCCESS' or rows_written > 0)
                    -- An earlier version took times in the future.
                    and as_of <= clock_timestamp() + interval '5 minutes'
            ) as newest
        from {{ run_log }}
        where job_name = '{{ job }}'

    ),

    known as (

        select
            source.begins,
            greatest(source.begins, earlier_runs.kept_since) as kept_since,
            earlier_runs.newest
        from source
        cross join earlier_runs

    ),

    judged as (

        select
            *,
            coalesce(
                {{ date_of('kept_since', timezone) }} >= date '{{ first_day }}' - {{ meta.get('looks_back', 0) }},
                true
            )
            and exists (
                select 1
                from {{ rollup }}
                where
                    {{ since }} < coalesce({{ date_of('kept_since', timezone) }}, 'infinity')
                    and {{ meta.shows_events }}
            ) as is_purged
        from known

    ),

    limits as (

        select
            is_purged,
            coalesce(newest > {{ as_of }}, false) as is_older,
            newest,
            case
                when begins is null then 'infinity'
                when is_purged then kept_since
                else begins
            end as kept_since
        from judged

    ),

    kept as (

        select
            count(*) as row_count,
            count(distinct {{ first }}) as day_count,
            min({{ first }}) as first_day,
            max({{ last }}) as last_day
        from {{ rollup }}
        cross join limits
        where
            {{ first }} <= '{{ last_day }}'
            and {{ last }} >= '{{ first_day }}'
            and (
                {{ since }} < {{ date_of('limits.kept_since', timezone) }}
                or (limits.is_purged and is_final)
            )

    )

    select
        limits.is_purged,
        limits.is_older,
        to_char(limits.newest, 'YYYY-MM-DD HH24:MI:SS') as newest,
        cast({{ date_of('limits.kept_since', timezone) }} as text) as kept_from_day,
        case when limits.is_purged and isfinite(limits.kept_since)
            then to_char(limits.kept_since, 'YYYY-MM-DD HH24:MI:SS.US+00') end as kept_since,
        {{ date_of(as_of, timezone) }}
        - {{ date_of("nullif(limits.kept_since, 'infinity')", timezone) }} + 1 as days_kept,
        kept.row_count as rows_kept,
        kept.day_count as days_left,
        cast(kept.first_day as text) as first_left,
        cast(kept.last_day as text) as last_left
    from limits
    cross join kept
{%- endmacro %}

{% macro date_of(instant, timezone) -%}
    cast({{ instant }} at time zone '{{ timezone }}' as date)
{%- endmacro %}

{#- The `first` or `last` day of a rollup's row, or the one `since` which it needs the events. -#}
{% macro row_day(meta, which) -%}
    {{ meta.get('days', {}).get(which, 'day') }}
{%- endmacro %}
