{#-
    Runs once, after the models. Counts the events of the window that are not valid, by rule, and
    says where the events are if the window has none. The command line reads the JSON; plain dbt
    shows the sentences and writes the run log.

    An event is in the window if it was received or occurred in it. If the source drops events
    after 180 days, invalid ones are few, and the index on occurred_at finds them; received_at
    needs no index.
-#}
{% macro report_run(results) -%}
    {%- if is_run(results | map(attribute='node.unique_id')) -%}
        {%- set ignored = {} -%}
        {%- for rule, count in run_query(ignored_events()).rows[0].dict().items() -%}
            {%- do ignored.update({rule: count | int}) -%}
            {%- if count -%}
                {%- do log('Ignored ' ~ (count | int) ~ ' events: ' ~ rule | replace('_', ' '),
                    info=true) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- set note = empty_window() or nothing_counted(results) -%}
        {%- if note -%}
            {%- do log(note, info=true) -%}
        {%- endif -%}
        {%- do log('run: ' ~ tojson({'ignored': ignored, 'note': note})) -%}
        {%- if on_postgres() and var('log_run', true) and not is_partial_build() -%}
            {{ log_runs(results, ignored) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- Where the source's events are, and how to reach them, if the window has none; else none. -#}
{% macro empty_window() -%}
    {%- set found = run_query(
        'select occurred_at from ' ~ event_logs(window_start(), window_end())
        ~ ' as logs where occurred_at >= ' ~ utc_literal(window_start())
        ~ ' and occurred_at < ' ~ utc_literal([window_end(), valid_until()] | min) ~ ' limit 1') -%}
    {%- if found.rows -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set span = run_query(
        'select ' ~ cast_as(day_of(cast_as('min(occurred_at)', 'timestamptz')), 'text')
        ~ ' as first_day, ' ~ cast_as(day_of(cast_as('max(occurred_at)', 'timestamptz')), 'text')
        ~ ' as last_day from ' ~ event_logs()
        ~ " as logs where occurred_at >= '1970-01-01' and occurred_at < '9999-01-01'").rows[0].dict() -%}
    {%- if not span['first_day'] -%}
        {{ return('The event log is empty.') }}
    {%- endif -%}
    {%- set latest = today(run_started_at) -%}
    {%- set earliest = (latest - modules.datetime.timedelta(days=179)) | string -%}
    {%- set text = 'The window has no events. The log has some, from ' ~ span['first_day'] ~ ' to '
        ~ span['last_day'] ~ '. ' -%}
    {%- if span['first_day'] > latest | string -%}
        {{ return(text ~ 'They are in the future: check the clocks.') }}
    {%- elif span['last_day'] >= earliest -%}
        {{ return(text ~ '--from ' ~ [span['first_day'], earliest] | max ~ ' reaches them.') }}
    {%- endif -%}
    {#- When all rows of the last day are final, so that no newer run hinders this one. -#}
    {%- set last = modules.datetime.datetime.fromisoformat(span['last_day'])
        + modules.datetime.timedelta(days=longest_horizon_days() | int + 1) -%}
    {{ return(text ~ '--as-of ' ~ last.date()
        ~ ' --window-days 180 reaches the last of them.') }}
{%- endmacro %}

{#- What to set if the window has events, but none that key events or a funnel count; else none. -#}
{% macro nothing_counted(results) -%}
    {%- set notes = [] -%}
    {%- for result in ([] if is_partial_build() else results)
        if result.node.package_name == 'analytics_rollups' and result.status == 'success' -%}
        {%- set rollup = result.node.relation_name -%}
        {%- if result.node.name == 'daily_metric_rollups' -%}
            {%- set counted = run_query(
                'select 1 from ' ~ rollup ~ ' where ' ~ is_in_days('day')
                ~ " and metric_name = 'sessions_submitted' and value > 0 limit 1") -%}
            {%- if not counted.rows -%}
                {%- do notes.append(
                    'No event of the window is named ' ~ key_events() | join(' or ')
                    ~ ', so key events are 0. KEY_EVENT names those of your app.') -%}
            {%- endif -%}
        {%- elif result.node.name == 'funnel_rollups' -%}
            {%- set uncounted = run_query(
                'select funnel_name from ' ~ rollup ~ ' where ' ~ is_in_days('day')
                ~ ' group by 1 having max(events_count) = 0 order by 1') -%}
            {%- if uncounted.rows -%}
                {%- do notes.append(
                    'No event of the window is one of funnel '
                    ~ uncounted.columns[0].values() | join(', ')
                    ~ '. seeds/funnel/funnel_steps.csv has its steps, or a folder that'
                    ~ ' ROLLUP_SEEDS names.') -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(notes | join(' ') or none) }}
{%- endmacro %}

{% macro ignored_events() -%}
    with events as (

        select
            occurred_at > {{ utc_literal(valid_until()) }} as is_future,
            occurred_at < {{ utc_literal(valid_from()) }} as is_expired
        from {{ invalid_event_logs() }} as logs
        where
            (
                occurred_at > {{ utc_literal(valid_until()) }}
                or occurred_at < {{ utc_literal(valid_from()) }}
                or occurred_at is null
            )
            and (
                {{ is_in_window('occurred_at') }}
                or {{ is_in_window('received_at') }}
            )

    )

    select
        count(*) filter (where is_future) as in_the_future,
        count(*) filter (where is_expired) as older_than_180_days,
        count(*) filter (where is_future is null) as without_a_time
    from events
{%- endmacro %}

{% macro is_in_window(instant) -%}
    (
        {{ instant }} >= {{ utc_literal(window_start()) }}
        and {{ instant }} < {{ utc_literal(window_end()) }}
    )
{%- endmacro %}
