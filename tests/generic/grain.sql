{#-
    The key's columns have no nulls and no two rows share a key. Given the name of a day
    column, only the run's window is read, since older days may be another system's.
-#}
{% test grain(model, columns, day=none) %}

select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
{%- if day is not none %}
where {{ is_in_days(day) }}
{%- endif %}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
