{#-
    Days of a time zone, which may have 23, 25 or 0 hours. An event's day is its local date. Where
    clocks are set back across midnight, as at 00:01 in Newfoundland until 2011, a day returns after
    the next one began. `dbt_project/days.py` repeats this for the command line and the API.
-#}
{% macro timezone() -%}
    {%- set given = setting('timezone', 'ROLLUP_TIMEZONE', 'UTC') -%}
    {%- if given not in modules.pytz.all_timezones_set -%}
        {{ exceptions.raise_compiler_error(
            "timezone: '" ~ given ~ "' is no zone of the IANA time zone database, such as"
            ~ ' Europe/Berlin or UTC.') }}
    {%- endif -%}
    {{ return(given) }}
{%- endmacro %}

{#-
    The offsets of the zone from UTC, oldest first, as pairs: when one begins, and the offset. They
    are the server's, because Python may have other rules, and are asked for once per node, for
    400 days around `as_of`.
-#}
{% macro offsets() -%}
    {%- if timezone() == 'UTC' or not execute -%}
        {{ return([[modules.datetime.datetime.min, modules.datetime.timedelta()]]) }}
    {%- endif -%}
    {%- set known = model if model is defined else {} -%}
    {%- if 'zone_offsets' not in known -%}
        {%- set given, found = var('as_of', none) | string, [] -%}
        {%- set about = run_started_at.date() if given == 'None' else given[:10] -%}
        {%- for begins, offset in run_query(offset_changes(about)).rows -%}
            {%- do found.append([
                modules.datetime.datetime.fromisoformat(begins),
                modules.datetime.timedelta(seconds=offset | float)
            ]) -%}
        {%- endfor -%}
        {%- do known.update({'zone_offsets': found}) -%}
    {%- endif -%}
    {{ return(known['zone_offsets']) }}
{%- endmacro %}

{#- A query of these pairs, as text and in seconds: first the days of a change, then its minute. -#}
{% macro offset_changes(about) -%}
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

{#- What clocks show at an instant, a datetime in UTC, as a datetime without a zone. -#}
{% macro local_time(instant) -%}
    {%- set naive, passed = instant.replace(tzinfo=none), [offsets()[0][1]] -%}
    {%- for begins, offset in offsets() if begins <= naive -%}
        {%- do passed.append(offset) -%}
    {%- endfor -%}
    {{ return(naive + passed[-1]) }}
{%- endmacro %}

{#-
    When clocks show a time: at one instant, or at two if they are set back. If they skip it, it is
    as if they had not changed.
-#}
{% macro instants_of(time) -%}
    {%- set shown, skipped = [], [] -%}
    {%- set before = namespace(offset=none) -%}
    {%- for begins, offset in offsets() -%}
        {%- set instant = modules.pytz.utc.localize(time - offset) -%}
        {%- if local_time(instant) == time and instant not in shown -%}
            {%- do shown.append(instant) -%}
        {%- elif before.offset is not none
            and begins + before.offset <= time and time < begins + offset -%}
            {%- do skipped.append(modules.pytz.utc.localize(time - before.offset)) -%}
        {%- endif -%}
        {%- set before.offset = offset -%}
    {%- endfor -%}
    {{ return((shown or skipped) | sort) }}
{%- endmacro %}

{#- The first instant that is not before the day, and the one from which on it is after it. -#}
{% macro start_of(day) -%}
    {{ return(midnights(day)[0]) }}
{%- endmacro %}

{% macro end_of(day) -%}
    {%- set after, ends = day + modules.datetime.timedelta(days=1), [] -%}
    {%- for at in midnights(after) -%}
        {%- if local_time(at - modules.datetime.timedelta(microseconds=1)).date() < after -%}
            {%- do ends.append(at) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(ends[-1]) }}
{%- endmacro %}

{% macro midnights(day) -%}
    {{ return(instants_of(modules.datetime.datetime(day.year, day.month, day.day))) }}
{%- endmacro %}

{#- The day of an instant: the first that has not ended for good. -#}
{% macro today(instant) -%}
    {%- set day = local_time(instant).date() -%}
    {%- set before = day - modules.datetime.timedelta(days=1) -%}
    {{ return(before if end_of(before) > instant else day) }}
{%- endmacro %}

{#- In SQL: a column of the event log that may be a timestamp, whose zone is UTC. -#}
{% macro instant(logs, column) -%}
    {%- if timezone() == 'UTC' or not execute -%}
    {{ logs }}.{{ column }}
    {%- else -%}
    cast({{ logs }}.{{ column }} as timestamptz) as {{ column }}
    {%- endif -%}
{%- endmacro %}

{#-
    In SQL: the day of an instant, which is a timestamptz; in UTC it may be a timestamp too. Known
    offsets are literals, because they cost less per row than `at time zone`.
-#}
{% macro day_of(instant) -%}
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

{#- In SQL: when a day ends, as a timestamptz. -#}
{% macro end_of_day(day) -%}
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

{#- The first day that ends with an offset. -#}
{% macro first_day_with(begins, offset) -%}
    {%- for days in range(-2, 3) -%}
        {%- set day = begins.date() + modules.datetime.timedelta(days=days) -%}
        {%- set after = day + modules.datetime.timedelta(days=1) -%}
        {%- set midnight = modules.datetime.datetime(after.year, after.month, after.day) -%}
        {%- if midnight - end_of(day).replace(tzinfo=none) == offset -%}
            {{ return(day) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(begins.date()) }}
{%- endmacro %}

{#-
    At the start of a run: fails if a rollup has days of another zone, which its comment names;
    without one they are of UTC. All tables of the schema count, because they are read together.
-#}
{% macro check_zones() -%}
    {%- if is_run(selected_resources) -%}
        {%- for node in window_models() -%}
            {%- set table = api.Relation.create(schema=node.schema, identifier=node.alias) -%}
            {%- set zone = zone_of(table) -%}
            {%- if zone != timezone() and run_query('select 1 from ' ~ table ~ ' limit 1').rows -%}
                {{ exceptions.raise_compiler_error(
                    table.identifier ~ ' in schema ' ~ table.schema ~ ' has days of ' ~ zone
                    ~ ', and this run is for days of ' ~ timezone() ~ '. Nothing was run. Set'
                    ~ ' ROLLUP_TIMEZONE=' ~ zone ~ ' to go on. To begin again in '
                    ~ timezone() ~ ', let ANALYTICS_SCHEMA name a new schema, and run with'
                    ~ ' --window-days 180.') }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- The zone of a table's days; that of this run if there is no such table. -#}
{% macro zone_of(table) -%}
    {%- set found = run_query(
        "select obj_description(to_regclass('" ~ table ~ "'), 'pg_class'), to_regclass('" ~ table
        ~ "')").rows[0] -%}
    {%- set comment = modules.re.fullmatch('Days are days of (.+)[.]', found[0] or '') -%}
    {{ return(timezone() if not found[1] else comment.group(1) if comment else 'UTC') }}
{%- endmacro %}

{#- After a rollup is written, in its transaction: notes its zone. -#}
{% macro note_zone() -%}
    {%- if execute and zone_of(this) != timezone() -%}
    comment on table {{ this }} is
    {{ "'Days are days of " ~ timezone() ~ ".'" if timezone() != 'UTC' else 'null' }}
    {%- endif -%}
{%- endmacro %}
