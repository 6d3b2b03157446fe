-- Days without events have them too: a run adds what is missing even where it may not rewrite.
with days as (

    {{ complete_days(ref('daily_metric_rollups')) }}

),

overall as (

    select
        day,
        metric_name
    from {{ ref('daily_metric_rollups') }}
    where
        dimension_key = 'overall'
        and metric_name <> 'event_volume_by_name'

),

metrics as (

    select distinct overall.metric_name
    from overall
    inner join days on days.day = overall.day

),

missing as (

    select
        days.day,
        metrics.metric_name
    from days
    cross join metrics
    left join overall on overall.day = days.day and overall.metric_name = metrics.metric_name
    where overall.day is null

)

select * from missing
