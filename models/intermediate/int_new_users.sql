with user_days as (

    select * from {{ ref('int_user_days') }}

),

new_users as (

    select * from {{ new_users('user_days') }} as new_users

)

select * from new_users
