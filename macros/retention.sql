{#- The Monday of a day's ISO week. -#}
{% macro week_of(day) -%}
    {{ return(day - modules.datetime.timedelta(days=day.weekday())) }}
{%- endmacro %}

{#- The first day of the earliest cohort whose cells a run writes: 12 weeks before the window. -#}
{% macro first_cohort() -%}
    {{ return(week_of(first_day()) - modules.datetime.timedelta(weeks=12)) }}
{%- endmacro %}

{#- When the events of the window's last week end. -#}
{% macro weeks_until() -%}
    {{ return(end_of(week_of(last_day()) + modules.datetime.timedelta(days=6))
        - modules.datetime.timedelta(microseconds=1)) }}
{%- endmacro %}

{#- When the events of active users begin: 27 days before the window, for the 28 days of a month. -#}
{% macro before_active() -%}
    {{ return(start_of(first_day() - modules.datetime.timedelta(days=27))) }}
{%- endmacro %}
