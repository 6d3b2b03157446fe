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
    At the start of a run: fails if a rollup has days of another zone, which it names; without one
    they are of UTC. All tables of the schema count, because they are read together.
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

{#-
    After a rollup is written, in its transaction: notes its zone. On Spark always, because dbt does
    not know of a new table yet.
-#}
{% macro note_zone() -%}
    {%- if execute and (not on_postgres() or zone_of(this) != timezone()) -%}
    {{ set_zone(this) }}
    {%- endif -%}
{%- endmacro %}
