with days as (

    {{ window_spine() }}

),

variants as (

    select * from {{ ref('stg_running_variants') }}

),

new_users as (

    select * from {{ ref('stg_new_users') }}

),

-- Left to itself PostgreSQL writes all of them down, which costs more than reading them twice.
assignments as not materialized (

    select
        cast(assignments.anonymous_user_id as text) as anonymous_user_id,
        variants.experiment_id,
        variants.variant_id,
        assignments.assigned_at
    from {{ source('app', 'assignments') }} as assignments
    inner join variants
        on
            variants.experiment_id = cast(assignments.experiment_id as text)
            and variants.variant_id = cast(assignments.variant_id as text)

),

-- Everything assigned before the window counts from its first day on.
assigned as (

    select
        experiment_id,
        variant_id,
        {{ utc_midnight(
            'greatest(assigned_at, ' ~ utc_literal(window_start()) ~ ')'
        ) }} as midnight,
        count(*) as user_count
    from assignments
    where assigned_at < {{ utc_literal(window_end()) }}
    group by 1, 2, 3

),

cohorts as (

    select
        assignments.experiment_id,
        assignments.variant_id,
        new_users.day,
        count(*) as cohort_size,
        count(*) filter (where new_users.is_active_d1) as active_users,
        count(*) filter (where new_users.is_logged_24h) as converted_users,
        sum(new_users.sessions_submitted_d7) as sessions_submitted
    from new_users
    inner join assignments
        on assignments.anonymous_user_id = cast(new_users.anonymous_user_id as text)
    group by 1, 2, 3

),

daily as (

    select
        days.day,
        variants.experiment_id,
        variants.variant_id,
        sum(coalesce(assigned.user_count, 0)) over (
            partition by variants.experiment_id, variants.variant_id
            order by days.day
        ) as users_assigned,
        coalesce(cohorts.cohort_size, 0) as cohort_size,
        coalesce(cohorts.active_users, 0) as active_users,
        coalesce(cohorts.converted_users, 0) as converted_users,
        coalesce(cohorts.sessions_submitted, 0) as sessions_submitted
    from days
    cross join variants
    left join assigned
        on
            assigned.experiment_id = variants.experiment_id
            and assigned.variant_id = variants.variant_id
            and {{ utc_day('assigned.midnight') }} = days.day
    left join cohorts
        on
            cohorts.experiment_id = variants.experiment_id
            and cohorts.variant_id = variants.variant_id
            and cohorts.day = days.day

),

metrics as (

    select
        daily.day,
        daily.experiment_id,
        daily.variant_id,
        metric.metric_name,
        metric.value,
        jsonb_build_object(
            'day', {{ day_text('daily.day') }},
            'cohort_size', daily.cohort_size
        ) || metric.dimensions as dimensions,
        metric.horizon_days
    from daily
    cross join lateral (
        values
        ('users_assigned', cast(users_assigned as double precision), cast('{}' as jsonb), 0),
        ('users_active_d1', active_users, '{}', 1),
        ('sessions_submitted_d7', sessions_submitted, '{}', 7),
        (
            'logging_rate_24h_by_variant',
            {{ rate('converted_users', 'cohort_size') }},
            jsonb_build_object('converted_users', converted_users),
            1
        )
    ) as metric (metric_name, value, dimensions, horizon_days)

),

final as (

    select
        day,
        {{ id_key('experiment_id') }} as experiment_id,
        {{ id_key('variant_id') }} as variant_id,
        metric_name,
        value,
        dimensions,
        {{ is_final('day', 'horizon_days') }} as is_final,
        current_timestamp as computed_at
    from metrics

)

select * from final
