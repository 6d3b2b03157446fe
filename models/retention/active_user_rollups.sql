with days as (

    {{ window_spine() }}

),

user_days as (

    select
        anonymous_user_id,
        {{ day_of('occurred_at') }} as day
        {{- each_dimension() }}
    from {{ events(since=before_active(), until=window_end(), with_dimensions=true) }} as events
    where
        anonymous_user_id is not null
        and occurred_at < {{ utc_literal(window_end()) }}
    group by 1, 2 {{- each_dimension() }}
    {{ computed_once('having') }}

),

user_keys as (

    select
        anonymous_user_id,
        day,
        'overall' as dimension_key
    from user_days
    union all
    select * from {{ with_dimension_keys('user_days', ['anonymous_user_id', 'day']) }} as keyed

),

-- A user counts from a day with an event on, until the period is over or the next such day takes
-- over, which on a day that is there twice is at once. So no day of a period is counted by itself.
visits as (

    select
        dimension_key,
        day,
        lead(day) over (partition by anonymous_user_id, dimension_key order by day) as next_day
    from user_keys

),

visit_counts as (

    select
        dimension_key,
        day,
        least(next_day, day + 28) as next_day,
        count(*) as user_count
    from visits
    group by 1, 2, 3
    {{ computed_once('having') }}

),

periods as (

    select *
    from (values ('day', 1), ('week', 7), ('month', 28)) as periods (period, days)

),

spans as (

    select
        periods.period,
        visit_counts.dimension_key,
        greatest(visit_counts.day, date '{{ first_day() }}') as begins,
        least(visit_counts.day + periods.days, visit_counts.next_day) as ends,
        visit_counts.user_count
    from visit_counts
    cross join periods

),

changes as (

    select
        period,
        dimension_key,
        begins as day,
        user_count
    from spans
    where begins < ends
    union all
    select
        period,
        dimension_key,
        ends as day,
        -user_count as user_count
    from spans
    where begins < ends

),

day_changes as (

    select
        period,
        dimension_key,
        day,
        sum(user_count) as user_count
    from changes
    group by 1, 2, 3

),

keys as (

    select distinct dimension_key from visit_counts
    union
    select 'overall' as dimension_key

),

active_users as (

    select
        days.day,
        periods.period,
        keys.dimension_key,
        sum(coalesce(day_changes.user_count, 0)) over (
            partition by periods.period, keys.dimension_key order by days.day
        ) as users_count
    from days
    cross join periods
    cross join keys
    left join day_changes
        on
            day_changes.period = periods.period
            and day_changes.dimension_key = keys.dimension_key
            and day_changes.day = days.day

),

final as (

    select
        day,
        period,
        dimension_key,
        cast(users_count as integer) as users_count,
        {{ is_final('day') }} as is_final,
        current_timestamp as computed_at
    from active_users
    where users_count > 0 or dimension_key = 'overall'

)

select * from final
