{#-
    Every row holds each of the claims, which are SQL conditions by name. One test for all of
    them reads the table once and says which claim a row breaks. A condition that is null is
    broken. Rows of earlier runs, and those whose `day` is before the window, are left out.
-#}
{% test every_row_holds(model, claims, day='day') %}

with checked as (

    select
        *,
        concat_ws(
            ', '
            {%- for name, condition in claims.items() %},
            case when ({{ render(condition) }}) is not true then '{{ name }}' end
            {%- endfor %}
        ) as broken_claims
    from {{ latest_rows(model, day) }} as rollups

)

select * from checked where broken_claims <> ''

{% endtest %}
