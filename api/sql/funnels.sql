-- Numbers with gaps are places all the same.
with steps as (

    select
        funnel_name,
        step_name,
        rank() over (partition by funnel_name order by min(step)) as step
    from {{ analytics }}.funnel_steps
    group by 1, 2

),

rollups as (

    select
        rollups.*,
        steps.step
    from {{ analytics }}.funnel_rollups as rollups
    left join steps
        on
            steps.funnel_name = rollups.funnel_name
            and steps.step_name = rollups.step_name
    where
        {{ windowed() }}
        and (cast(%(funnel_name)s as text) is null or rollups.funnel_name = %(funnel_name)s)

),

compared as (

    {{ compared("rollups") }}

)

select
    cast(row_to_json(item) as text) as item,
    true as has_data
from compared
cross join lateral (
    select
        compared.day,
        compared.funnel_name,
        compared.step_name,
        compared.experiment_id,
        compared.variant_id,
        compared.users_count,
        compared.events_count,
        compared.step,
        compared.conversion_from_previous,
        compared.conversion_from_first,
        compared.is_final
) as item
order by
    compared.day,
    compared.funnel_name collate "C",
    compared.step_name collate "C",
    compared.dimension_key collate "C"
