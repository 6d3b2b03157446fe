{#-
    How the computed rows of a rollup replace those of the window, within the limits that
    `run_limits` found. It uses nothing of dbt: the command line publishes with it what another
    engine computed.

    A table without days, whose meta says nothing of events, is rewritten whole. Rows that differ
    only in `dimension_key` are one set: what a run may not delete keeps the whole set from new rows.
    `has_ended` is a condition on a row of the table: its last day has ended.
-#}
{% macro replace_rows(
    target, computed, columns, unique_key, meta, limits, first_day, last_day, allow_purged, has_ended
) -%}
    {%- if not meta.get('shows_events') -%}
    delete from {{ target }};

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ computed }}
    {%- else -%}
    {%- set set_key = unique_key | reject('equalto', 'dimension_key') | join(', ') -%}
    delete from {{ target }}
    where
        {{ meets_days(meta, first_day, last_day) }}
        {%- if not allow_purged %}
        and {{ row_day(meta, 'since') }} >= '{{ limits['kept_from_day'] }}'
            {%- if limits['is_purged'] %}
        and not is_final
            {%- endif %}
        {%- endif %}
        {%- if limits['is_older'] %}
        and {{ has_ended }}
        and ({{ set_key }}) not in (select {{ set_key }} from {{ computed }} where not is_final)
        {%- endif %};

    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ computed }}
    where
        ({{ set_key }}) not in (
            select {{ set_key }} from {{ target }} where {{ meets_days(meta, first_day, last_day) }}
        )
        {%- if limits['is_older'] %}
        and is_final
        {%- endif %}
    {%- endif -%}
{%- endmacro %}

{#- Whether a row's days meet those of the window. -#}
{% macro meets_days(meta, first_day, last_day) -%}
    {{ row_day(meta, 'first') }} <= '{{ last_day }}'
    and {{ row_day(meta, 'last') }} >= '{{ first_day }}'
{%- endmacro %}

{#- A query of the number of days on which an older run leaves its unfinished rows unwritten. -#}
{% macro unfinished_days(computed, meta) -%}
    select count(distinct {{ row_day(meta, 'first') }}) from {{ computed }} where not is_final
{%- endmacro %}

{#- What to say of the limits, one sentence or two a line. -#}
{% macro limits_notes(name, limits, allow_purged, as_of, unfinished) -%}
    {%- if limits['is_purged'] and limits['days_left'] and not allow_purged -%}
    {{ 'The source keeps ' ~ (limits['days_kept'] | int) ~ ' days, since '
        ~ limits['kept_since'][:16] ~ ' UTC.' if limits['kept_since']
        else 'The source has no valid event.' -}}
    {{ ' So ' ~ name ~ ' keeps its final rows of ' ~ counted_days(limits['days_left']) ~ ', '
        ~ limits['first_left'] ~ ' to ' ~ limits['last_left']
        ~ '. --allow-purged recomputes them from what is left.\n' }}
    {%- endif -%}
    {%- if limits['is_older'] -%}
    {{ 'A run already computed ' ~ name ~ ' as of ' ~ limits['newest'] ~ ' UTC. This run, as of '
        ~ as_of ~ ', left alone what was not final then, on ' ~ counted_days(unfinished)
        ~ '. --from recomputes days as of now.' }}
    {%- endif -%}
{%- endmacro %}

{% macro counted_days(count) -%}
    {{ count | int }} day{{ '' if count == 1 else 's' }}
{%- endmacro %}
