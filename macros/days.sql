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

{#- The first instant that is not before the day, and the one from which on it is after it. -#}
{% macro start_of(day) -%}
    {{ return(midnights(day) | min) }}
{%- endmacro %}

{% macro end_of(day) -%}
    {%- set after, ends = day + modules.datetime.timedelta(days=1), [] -%}
    {%- for at in midnights(after) -%}
        {%- if local_time(at - modules.datetime.timedelta(microseconds=1)).date() < after -%}
            {%- do ends.append(at) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(ends | max) }}
{%- endmacro %}

{#- The day of an instant: the first that has not ended for good. -#}
{% macro today(instant) -%}
    {%- set day = local_time(instant).date() -%}
    {%- set before = day - modules.datetime.timedelta(days=1) -%}
    {{ return(before if end_of(before) > instant else day) }}
{%- endmacro %}

{#-
    The instants at which clocks show the day's midnight: one, or two if set back. Where clocks skip
    midnight, it is the instant at which they do.
-#}
{% macro midnights(day) -%}
    {%- set midnight = modules.datetime.datetime(day.year, day.month, day.day) -%}
    {%- set zone, found, shown = modules.pytz.timezone(timezone()), [], [] -%}
    {%- for hours in (-36, 36) -%}
        {%- set near = midnight + modules.datetime.timedelta(hours=hours) -%}
        {%- set at = modules.pytz.utc.localize(midnight - zone.fromutc(near).utcoffset()) -%}
        {%- do found.append(at) -%}
        {%- if local_time(at).replace(tzinfo=none) == midnight -%}
            {%- do shown.append(at) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(shown or found[:1]) }}
{%- endmacro %}

{% macro local_time(instant) -%}
    {{ return(instant.astimezone(modules.pytz.timezone(timezone()))) }}
{%- endmacro %}

{#- In SQL: a column of the event log that may be a timestamp, whose zone is UTC. -#}
{% macro instant(logs, column) -%}
    {%- if timezone() == 'UTC' -%}
    {{ logs }}.{{ column }}
    {%- else -%}
    cast({{ logs }}.{{ column }} as timestamptz) as {{ column }}
    {%- endif -%}
{%- endmacro %}

{#- In SQL: the day of an instant, which is a timestamptz; in UTC it may be a timestamp too. -#}
{% macro day_of(instant) -%}
    {%- if timezone() == 'UTC' -%}
    cast({{ instant }} as date)
    {%- else -%}
    cast({{ instant }} at time zone '{{ timezone() }}' as date)
    {%- endif -%}
{%- endmacro %}

{#-
    In SQL: when a day ends. PostgreSQL takes the later of two midnights, which is wrong if clocks
    are set back to midnight: then the end is earlier, by what they show a moment before.
-#}
{% macro end_of_day(day) -%}
    {%- set midnight = 'cast(' ~ day ~ ' + 1 as timestamp)' -%}
    {%- set end = midnight ~ " at time zone '" ~ timezone() ~ "'" -%}
    {%- if timezone() == 'UTC' -%}
    {{ end }}
    {%- else -%}
    (
        {{ end }} - greatest(
            ({{ end }} - interval '1 microsecond') at time zone '{{ timezone() }}'
            + interval '1 microsecond' - {{ midnight }},
            interval '0'
        )
    )
    {%- endif -%}
{%- endmacro %}

{#-
    At the start of a run: fails if the server has other rules for the zone than Python, which
    would cut its days elsewhere than the window.
-#}
{% macro check_timezone() -%}
    {%- if is_run(selected_resources) and timezone() != 'UTC' -%}
        {%- set bounds = [] -%}
        {%- for number in range(182) -%}
            {%- set day = today(as_of()) - modules.datetime.timedelta(days=number) -%}
            {%- do bounds.append('(' ~ [
                "date '" ~ day ~ "'", 'timestamptz ' ~ utc_literal(start_of(day)),
                'timestamptz ' ~ utc_literal(end_of(day))
            ] | join(', ') ~ ')') -%}
        {%- endfor -%}
        {%- set moment = " - interval '1 microsecond'" -%}
        {%- set other = run_query(
            'select cast(min(day) as text) from (values ' ~ bounds | join(', ')
            ~ ') as days (day, starts_at, ends_at) where not ('
            ~ day_of('starts_at') ~ ' >= day and ' ~ day_of('(starts_at' ~ moment ~ ')') ~ ' < day'
            ~ ' and ends_at = ' ~ end_of_day('day') ~ ')'
        ).rows[0][0] -%}
        {%- if other -%}
            {{ exceptions.raise_compiler_error(
                'The database server has other rules for ' ~ timezone() ~ ' than Python has, as on '
                ~ other ~ '. Nothing was run. Update the time zone data of the older one: tzdata'
                ~ ' of the server, or pytz.') }}
        {%- endif -%}
    {%- endif -%}
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
