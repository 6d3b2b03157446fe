with days as (

    {{ window_spine() }}

),

variants as (

    select * from {{ ref('int_variants_in_scope') }}

),

first_weeks as (

    select * from {{ ref('int_first_weeks') }}

),

-- PostgreSQL would materialize this CTE, which costs more than reading the table twice.
assignments as {{ not_materialized() }} (

    select
        assignments.anonymous_user_id,
        assignments.experiment_id,
        assignments.variant_id,
        assignments.assigned_at
    from (select * from {{ ref('stg_assignments') }}) as assignments
    inner join variants
        on
            variants.experiment_id = assignments.experiment_id
            and variants.variant_id = assignments.variant_id

),

-- Users assigned before the window count from its first day on.
assigned as (

    select
        experiment_id,
        variant_id,
        {{ day_of('greatest(assigned_at, ' ~ utc_literal(window_start()) ~ ')') }} as day,
        count(*) as user_count
    from assignments
    where assigned_at < {{ utc_literal(window_end()) }}
    group by 1, 2, 3

),

cohorts as (

    select
        assignments.experiment_id,
        assignments.variant_id,
        first_weeks.day,
        count(*) as cohort_size,
        count(*) filter (where first_weeks.is_active_d1) as active_users,
        count(*) filter (where first_weeks.is_logged_24h) as converted_users,
        sum(first_weeks.sessions_submitted_d7) as sessions_submitted
    from first_weeks
    inner join assignments
        on assignments.anonymous_user_id = {{ text_id('first_weeks.anonymous_user_id') }}
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
            and assigned.day = days.day
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
        {{ json_merged(
            json_object({'day': day_text('daily.day'), 'cohort_size': 'daily.cohort_size'}),
            'metric.dimensions'
        ) }} as dimensions,
        metric.horizon_days
    from daily
    cross join lateral {{ value_rows('metric', {
        'metric_name': 'text', 'value': 'double precision', 'dimensions': 'jsonb',
        'horizon_days': 'integer'
    }, [
        [
            "'users_assigned'",
            cast_as('users_assigned', 'double precision'),
            cast_as("'{}'", 'jsonb'),
            0
        ],
        ["'users_active_d1'", 'active_users', "'{}'", 1],
        ["'sessions_submitted_d7'", 'sessions_submitted', "'{}'", 7],
        [
            "'logging_rate_24h_by_variant'",
            rate('converted_users', 'cohort_size'),
            json_object({'converted_users': 'converted_users'}),
            1
        ]
    ]) }}

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
