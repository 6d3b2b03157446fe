-- All valid events count here, because only they tell when a user came first. A look-up of each
-- user's first event would depend on an index that the source may not have.
with user_values as (

    select
        anonymous_user_id,
        min(occurred_at) as first_at
        {{- each_dimension() }}
    from {{ events(valid_from(), weeks_until(), with_dimensions=true) }} as events
    where anonymous_user_id is not null
    group by 1 {{- each_dimension() }}
    {{ computed_once('having') }}

),

user_days as (

    select
        anonymous_user_id,
        {{ day_of('occurred_at') }} as day
    from {{ events(start_of(week_of(first_day())), weeks_until()) }} as events
    where anonymous_user_id is not null
    group by 1, 2

),

first_events as (

    select
        anonymous_user_id,
        min(first_at) as first_seen
    from user_values
    group by 1

),

-- The values of the first event, or of several at that moment the first in order.
users as (

    select
        first_events.anonymous_user_id,
        {{ day_of('first_events.first_seen') }} as first_day
        {{- each_dimension('min(user_values.{})') }}
    from first_events
    inner join user_values
        on
            user_values.anonymous_user_id = first_events.anonymous_user_id
            and user_values.first_at = first_events.first_seen
    where first_events.first_seen >= {{ utc_literal(start_of(first_cohort())) }}
    group by 1, 2
    {{ computed_once('having') }}

),

user_keys as (

    select
        anonymous_user_id,
        first_day,
        'overall' as dimension_key
    from users
    union all
    select * from {{ with_dimension_keys('users', ['anonymous_user_id', 'first_day']) }} as keyed
    {{ computed_once('where') }}

),

periods as (

    select *
    from (values ('day', 1, 30), ('week', 7, 12)) as periods (period, days, last_number)

),

cohorts as (

    select
        periods.period,
        periods.days,
        periods.last_number,
        cast(date_trunc(periods.period, user_keys.first_day) as date) as cohort_start,
        user_keys.dimension_key,
        count(*) as users_count
    from user_keys
    cross join periods
    group by 1, 2, 3, 4, 5

),

user_periods as (

    select distinct
        user_days.anonymous_user_id,
        periods.period,
        cast(date_trunc(periods.period, user_days.day) as date) as period_start
    from user_days
    cross join periods

),

returned as (

    select
        user_periods.period,
        cast(date_trunc(user_periods.period, user_keys.first_day) as date) as cohort_start,
        user_periods.period_start,
        user_keys.dimension_key,
        count(*) as users_count
    from user_periods
    inner join user_keys on user_keys.anonymous_user_id = user_periods.anonymous_user_id
    group by 1, 2, 3, 4

),

cells as (

    select
        cohorts.period,
        cohorts.cohort_start,
        period_number,
        cohorts.dimension_key,
        cohorts.cohort_start + period_number * cohorts.days as period_start,
        cohorts.cohort_start + (period_number + 1) * cohorts.days - 1 as period_end
    from cohorts
    cross join lateral {{ series(0, 'cohorts.last_number', 'period_number') }}

),

final as (

    select
        cells.period,
        cells.cohort_start,
        cells.period_number,
        cells.dimension_key,
        cast(coalesce(returned.users_count, 0) as integer) as users_count,
        cells.period_start,
        cells.period_end,
        {{ is_final('cells.period_end') }} as is_final,
        current_timestamp as computed_at
    from cells
    left join returned
        on
            returned.period = cells.period
            and returned.cohort_start = cells.cohort_start
            and returned.period_start = cells.period_start
            and returned.dimension_key = cells.dimension_key
    where cells.period_start <= '{{ last_day() }}' and cells.period_end >= '{{ first_day() }}'

)

select * from final
