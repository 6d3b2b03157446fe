with rollups as (

    select * from {{ analytics }}.funnel_conversion_rollups
    where
        {{ windowed() }}
        and {{ of_dimension() }}
        and (cast(%(funnel_name)s as text) is null or funnel_name = %(funnel_name)s)

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
        compared.step,
        compared.step_name,
        compared.dimension_key,
        compared.users_count,
        {{ js_number("compared.median_seconds") }} as median_seconds,
        {{ js_number("compared.conversion_from_previous") }} as conversion_from_previous,
        {{ js_number("compared.conversion_from_first") }} as conversion_from_first,
        compared.is_final
) as item
order by
    compared.day,
    compared.funnel_name collate "C",
    compared.dimension_key collate "C",
    compared.step
