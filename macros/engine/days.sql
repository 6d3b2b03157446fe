{#- In SQL: a column of the event log that may be a timestamp, whose zone is UTC. -#}
{% macro instant(logs, column) -%}
    {{ return(adapter.dispatch('instant', 'analytics_rollups')(logs, column)) }}
{%- endmacro %}

{% macro default__instant(logs, column) -%}
    {%- if timezone() == 'UTC' or not execute -%}
    {{ logs }}.{{ column }}
    {%- else -%}
    cast({{ logs }}.{{ column }} as timestamptz) as {{ column }}
    {%- endif -%}
{%- endmacro %}

{#- The zone of the session is UTC. -#}
{% macro spark__instant(logs, column) -%}
    cast({{ logs }}.{{ column }} as timestamp) as {{ column }}
{%- endmacro %}

{#-
    In SQL: the day of an instant, which is a timestamptz; in UTC it may be a timestamp too. Known
    offsets are literals, because they cost less per row than `at time zone`.
-#}
{% macro day_of(instant) -%}
    {{ return(adapter.dispatch('day_of', 'analytics_rollups')(instant)) }}
{%- endmacro %}

{% macro default__day_of(instant) -%}
    {%- if timezone() == 'UTC' or not execute -%}
    cast({{ instant }} as date)
    {%- else -%}
    cast(
        {{ instant }} + case
            {%- for begins, offset in offsets() | reverse %}
            when {{ instant }} >= '{{ begins }}+00' then interval '{{ offset.total_seconds() }} s'
            {%- endfor %}
            else {{ instant }} at time zone '{{ timezone() }}' - {{ instant }} at time zone 'UTC'
        end as date
    )
    {%- endif -%}
{%- endmacro %}

{% macro spark__day_of(instant) -%}
    {%- if timezone() == 'UTC' or not execute -%}
    cast({{ instant }} as date)
    {%- else -%}
    cast(
        {{ instant }} + case
            {%- for begins, offset in offsets() | reverse %}
            when {{ instant }} >= {{ utc_literal(begins) }}
                then interval '{{ offset.total_seconds() }}' second
            {%- endfor %}
            else from_utc_timestamp({{ instant }}, '{{ timezone() }}') - {{ instant }}
        end as date
    )
    {%- endif -%}
{%- endmacro %}

{#- In SQL: when a day ends, as a timestamptz. -#}
{% macro end_of_day(day) -%}
    {{ return(adapter.dispatch('end_of_day', 'analytics_rollups')(day)) }}
{%- endmacro %}

{% macro default__end_of_day(day) -%}
    {%- set midnight = 'cast(' ~ day ~ " + 1 as timestamp) at time zone 'UTC'" -%}
    {%- if timezone() == 'UTC' or not execute -%}
    {{ midnight }}
    {%- else -%}
    (
        {{ midnight }} - case
            {%- for begins, offset in offsets() | reverse %}
            when {{ day }} >= '{{ first_day_with(begins, offset) }}'
                then interval '{{ offset.total_seconds() }} s'
            {%- endfor %}
            else interval '{{ offsets()[0][1].total_seconds() }} s'
        end
    )
    {%- endif -%}
{%- endmacro %}

{% macro spark__end_of_day(day) -%}
    {%- set midnight = 'cast(' ~ day ~ ' + 1 as timestamp)' -%}
    {%- if timezone() == 'UTC' or not execute -%}
    {{ midnight }}
    {%- else -%}
    (
        {{ midnight }} - case
            {%- for begins, offset in offsets() | reverse %}
            when {{ day }} >= date '{{ first_day_with(begins, offset) }}'
                then interval '{{ offset.total_seconds() }}' second
            {%- endfor %}
            else interval '{{ offsets()[0][1].total_seconds() }}' second
        end
    )
    {%- endif -%}
{%- endmacro %}

{#-
    A query of the changes of the zone's offset within 400 days of a day, as text and in seconds:
    first the days of a change, then its minute.
-#}
{% macro offset_changes(about) -%}
    {{ return(adapter.dispatch('offset_changes', 'analytics_rollups')(about)) }}
{%- endmacro %}

{% macro default__offset_changes(about) -%}
    {%- set zone, middle = timezone(), "timestamptz '" ~ about ~ " 00:00:00+00'" -%}
    with days as (

        select
            instant,
            instant at time zone '{{ zone }}' - instant at time zone 'UTC' as zone_offset
        from generate_series(
            {{ middle }} - interval '400 days', {{ middle }} + interval '400 days', interval '1 day'
        ) as instant

    ),

    compared_days as (

        select
            *,
            lag(zone_offset) over (order by instant) as previous_offset
        from days

    ),

    minutes as (

        select
            minute as instant,
            minute at time zone '{{ zone }}' - minute at time zone 'UTC' as zone_offset
        from compared_days
        cross join lateral generate_series(
            instant - interval '1 day', instant, interval '1 minute'
        ) as minute
        where zone_offset <> previous_offset

    ),

    compared_minutes as (

        select
            *,
            lag(zone_offset) over (order by instant) as previous_offset
        from minutes

    ),

    changes as (

        select * from compared_days where previous_offset is null
        union all
        select * from compared_minutes where zone_offset <> previous_offset

    )

    select
        to_char(instant, 'YYYY-MM-DD HH24:MI:SS'),
        extract(epoch from zone_offset)
    from changes
    order by instant
{%- endmacro %}

{% macro spark__offset_changes(about) -%}
    {%- set zone, middle = timezone(), "timestamp '" ~ about ~ " 00:00:00+00:00'" -%}
    with days as (

        select
            instant,
            from_utc_timestamp(instant, '{{ zone }}') - instant as zone_offset
        from explode(sequence(
            {{ middle }} - interval '400' day, {{ middle }} + interval '400' day, interval '1' day
        )) as days (instant)

    ),

    compared_days as (

        select
            *,
            lag(zone_offset) over (order by instant) as previous_offset
        from days

    ),

    minutes as (

        select
            minute as instant,
            from_utc_timestamp(minute, '{{ zone }}') - minute as zone_offset
        from compared_days
        cross join lateral explode(sequence(
            instant - interval '1' day, instant, interval '1' minute
        )) as minutes (minute)
        where zone_offset <> previous_offset

    ),

    compared_minutes as (

        select
            *,
            lag(zone_offset) over (order by instant) as previous_offset
        from minutes

    ),

    changes as (

        select * from compared_days where previous_offset is null
        union all
        select * from compared_minutes where zone_offset <> previous_offset

    )

    select
        date_format(instant, 'yyyy-MM-dd HH:mm:ss'),
        unix_micros(timestamp '1970-01-01 00:00:00+00:00' + zone_offset) / 1e6
    from changes
    order by instant
{%- endmacro %}

{#- The zone that a table's days are noted to be of; that of this run if there is no such table. -#}
{% macro zone_of(table) -%}
    {{ return(adapter.dispatch('zone_of', 'analytics_rollups')(table)) }}
{%- endmacro %}

{% macro default__zone_of(table) -%}
    {%- set found = run_query(
        "select obj_description(to_regclass('" ~ table ~ "'), 'pg_class'), to_regclass('" ~ table
        ~ "')").rows[0] -%}
    {%- set comment = modules.re.fullmatch('Days are days of (.+)[.]', found[0] or '') -%}
    {{ return(timezone() if not found[1] else comment.group(1) if comment else 'UTC') }}
{%- endmacro %}

{% macro spark__zone_of(table) -%}
    {%- if not is_stored(table) -%}
        {{ return(timezone()) }}
    {%- endif -%}
    {%- set noted = namespace(zone='UTC') -%}
    {%- for name, value in fetch_tbl_properties(table).rows if name == 'rollup.timezone' -%}
        {%- set noted.zone = value -%}
    {%- endfor -%}
    {{ return(noted.zone) }}
{%- endmacro %}

{#- The statement that notes it, after a rollup is written. -#}
{% macro set_zone(table) -%}
    {{ return(adapter.dispatch('set_zone', 'analytics_rollups')(table)) }}
{%- endmacro %}

{% macro default__set_zone(table) -%}
    comment on table {{ table }} is
    {{ "'Days are days of " ~ timezone() ~ ".'" if timezone() != 'UTC' else 'null' }}
{%- endmacro %}

{% macro spark__set_zone(table) -%}
    alter table {{ table }} set tblproperties ('rollup.timezone' = '{{ timezone() }}')
{%- endmacro %}
