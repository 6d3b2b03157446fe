-- Fills empty source tables with a steady app: the same number of events every day; most users
-- leave within two weeks, some stay for months. Requires the settings bench.events, bench.users,
-- bench.days, bench.experiments, bench.session_events and bench.as_of.

select setseed(0.42);

create temporary table knobs as
select
    cast(current_setting('bench.events') as bigint) as events,
    cast(current_setting('bench.users') as integer) as users,
    cast(current_setting('bench.days') as integer) as days,
    cast(current_setting('bench.experiments') as integer) as experiments,
    cast(current_setting('bench.session_events') as integer) as session_events,
    cast(cast(current_setting('bench.as_of') as timestamptz) at time zone 'UTC' as timestamp) as as_of;

-- Experiments have three and two variants alternately, so two experiments have five variants.
insert into experiments (experiment_id, status, start_at, targeting)
select 'exp_' || number, 'RUNNING', as_of - interval '60 days', '{"platform": ["ios"]}'
from knobs cross join generate_series(1, experiments) as number;

insert into experiment_variants (id, experiment_id, variant_id, variant_name, is_control, weight)
select 'exp_' || number || variant, 'exp_' || number, variant, lower(variant), variant = 'A', 0.5
from knobs
cross join generate_series(1, experiments) as number
cross join unnest(array['A', 'B', 'C']) as variant
where number % 2 = 1 or variant <> 'C';

-- A user is in at most two experiments.
create temporary table people as
select
    number,
    'user_' || md5(number::text) as name,
    days * random() as first_day,
    least(greatest(days - 1, 0.5), -ln(1 - random()) * (array[1.5, 15, 15, 180])[1 + floor(random() * 4)::int])
        as lifetime,
    0.2 + random() * 0.6 as sessions_a_day,
    1 + number % experiments as experiment_1,
    1 + (number + 1 + (number / experiments) % greatest(experiments - 1, 1)) % experiments
        as experiment_2,
    random() as draw_1,
    random() as draw_2
from knobs cross join generate_series(1, users) as number;

create temporary table enrolments as
select
    number,
    name,
    first_day,
    'exp_' || experiment as experiment_id,
    chr(65 + floor(draw * (2 + experiment % 2))::int) as variant_id
from people
cross join lateral (values (experiment_1, draw_1), (experiment_2, draw_2)) as pick (experiment, draw)
where experiment = experiment_1 or (experiment_1 <> experiment_2 and number % 5 <> 0);

insert into assignments (id, anonymous_user_id, experiment_id, variant_id, assigned_at)
select
    name || experiment_id, name, experiment_id, variant_id,
    as_of - (days - first_day) * interval '1 day'
from enrolments cross join knobs;

-- Activity after the last day wraps around to the first, so that all days are alike.
create temporary table sessions as
select
    row_number() over () as session,
    people.number,
    people.name,
    maps.experiment_map,
    case
        when first_day + offset_days < days then first_day + offset_days
        else first_day + offset_days - days
    end as day
from people
cross join knobs
cross join (
    select
        knobs.events / cast(knobs.session_events as float) / sum(sessions_a_day * lifetime)
            as density
    from people cross join knobs group by knobs.events, knobs.session_events
) as wanted
cross join lateral generate_series(1, ceil(sessions_a_day * lifetime * density)::int) as visit
cross join lateral (select case when visit = 1 then 0 else random() * lifetime end) as gap (offset_days)
left join (
    select number, jsonb_object_agg(experiment_id, variant_id) as experiment_map
    from enrolments group by number
) as maps on maps.number = people.number and people.number % 10 <> 0;

insert into event_logs (
    id, event_id, anonymous_user_id, session_id, install_id, platform, app_version, event_name,
    occurred_at, received_at, sent_at, properties, context, assignments, experiment_map
)
select
    'id_' || md5(session || '-' || step),
    'ev_' || md5(session || '+' || step),
    name,
    'session_' || session,
    'install_' || number,
    case when number % 2 = 0 then 'ios' else 'android' end,
    '1.4.' || number % 7,
    event_name,
    occurred_at,
    received_at,
    occurred_at + interval '1 second',
    '{"screen": "home", "duration_ms": 1234, "source": "organic"}',
    '{"locale": "en_US", "tz": "Europe/Berlin", "os": "17.2", "model": "iPhone15,3"}',
    '[]',
    experiment_map
from (
    select
        sessions.*,
        step,
        (array[
            'app_opened', 'tab_opened', 'workouts_default_loaded', 'workout_started',
            'exercise_logged', 'session_submitted', 'achievement_unlocked', 'profile_viewed',
            'settings_opened', 'push_received'
        ])[1 + floor(power(random(), 1.2) * 10)::int] as event_name,
        moment.occurred_at,
        moment.occurred_at - ln(1 - random()) * interval '6 seconds' as received_at
    from sessions
    cross join knobs
    cross join lateral generate_series(0, session_events - 1) as step
    cross join lateral (
        select date_trunc(
            'milliseconds',
            as_of - (days - day) * interval '1 day' + step * 20 * random() * interval '1 second'
        )
    ) as moment (occurred_at)
) as events
order by received_at;
