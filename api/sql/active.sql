with items as (

    select
        day,
        period,
        dimension_key,
        users_count,
        is_final
    from {{ analytics }}.active_user_rollups
    where
        {{ windowed() }}
        and {{ of_dimension() }}

)

select
    cast(row_to_json(items) as text) as item,
    true as has_data
from items
order by
    day,
    array_position(array['day', 'week', 'month'], period),
    dimension_key collate "C"
