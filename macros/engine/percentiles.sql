{#- The exact percentiles of a group, as an array, and one of them. -#}
{% macro percentiles_of(number, shares) -%}
    {{ return(adapter.dispatch('percentiles_of', 'analytics_rollups')(number, shares)) }}
{%- endmacro %}

{% macro default__percentiles_of(number, shares) -%}
    percentile_cont(array[{{ shares | join(', ') }}]) within group (order by {{ number }})
{%- endmacro %}

{% macro spark__percentiles_of(number, shares) -%}
    percentile({{ number }}, array({{ shares | join(', ') }}))
{%- endmacro %}

{% macro percentile_of(percentiles, place) -%}
    {{ return(adapter.dispatch('percentile_of', 'analytics_rollups')(percentiles, place)) }}
{%- endmacro %}

{% macro default__percentile_of(percentiles, place) -%}
    {{ percentiles }}[{{ place + 1 }}]
{%- endmacro %}

{% macro spark__percentile_of(percentiles, place) -%}
    {{ percentiles }}[{{ place }}]
{%- endmacro %}

{% macro median_of(number) -%}
    {{ return(adapter.dispatch('median_of', 'analytics_rollups')(number)) }}
{%- endmacro %}

{% macro default__median_of(number) -%}
    percentile_cont(0.5) within group (order by {{ number }})
{%- endmacro %}

{% macro spark__median_of(number) -%}
    percentile({{ number }}, 0.5)
{%- endmacro %}

{#-
    The seconds from an event's occurrence to its receipt. PostgreSQL collects those of a name and
    day with their count, to read the events only once. On Spark one name may have more than a
    machine has room for, so there they are read again, in few columns.
-#}
{% macro collected_lags() -%}
    {{ return(adapter.dispatch('collected_lags', 'analytics_rollups')()) }}
{%- endmacro %}

{% macro default__collected_lags() -%}
    ,
        array_agg(
            case
                when isfinite(received_at)
                    then greatest({{ seconds_between('occurred_at', 'received_at') }}, 0)
            end
        ) as lags
{%- endmacro %}

{% macro spark__collected_lags() -%}
{%- endmacro %}

{% macro lags_of(event_counts) -%}
    {{ return(adapter.dispatch('lags_of', 'analytics_rollups')(event_counts)) }}
{%- endmacro %}

{% macro default__lags_of(event_counts) -%}
    select
        day,
        unnest(lags) as lag_seconds
    from {{ event_counts }}
{%- endmacro %}

{% macro spark__lags_of(event_counts) -%}
    select
        {{ day_of('occurred_at') }} as day,
        greatest({{ seconds_between('occurred_at', 'received_at') }}, 0) as lag_seconds
    from {{ events() }} as events
    where received_at is not null
{%- endmacro %}
