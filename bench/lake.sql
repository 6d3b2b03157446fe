-- The app of events.sql as a lake, by a hash of each user, session and event in place of random
-- numbers, so that it is the same on any cluster. {events}, {users} and {as_of} are filled in.

create temporary function draw(number bigint, salt string) returns double
return pmod(xxhash64(number, salt), 1000000007) / 1000000007d;

-- Most users leave within two weeks, some stay for months. All are in one experiment of three
-- variants, four of five in one of two.
create temporary view people as
select
    id as number,
    concat('user_', md5(cast(id as string))) as name,
    180 * draw(id, 'first day') as first_day,
    least(
        179, -ln(1 - draw(id, 'life')) * element_at(array(1.5, 15, 15, 180), 1 + cast(floor(4 * draw(id, 'kind')) as int))
    ) as lifetime,
    0.2 + 0.6 * draw(id, 'pace') as sessions_a_day,
    map_from_arrays(
        if(id % 5 = 0, array('exp_1'), array('exp_1', 'exp_2')),
        if(id % 5 = 0,
            array(char(65 + cast(floor(3 * draw(id, '1')) as int))),
            array(char(65 + cast(floor(3 * draw(id, '1')) as int)), char(65 + cast(floor(2 * draw(id, '2')) as int)))
        )
    ) as variants
from range({users});

-- Activity after the last day wraps around to the first, so that all days are alike.
create temporary view sessions as
select
    people.*,
    1000000 * number + visit as session,
    (first_day + if(visit = 1, 0, lifetime * draw(1000000 * number + visit, 'gap'))) % 180 as at_day
from people
cross join (select {events} / 8d / sum(sessions_a_day * lifetime) as density from people) as wanted
cross join lateral explode(sequence(1, cast(ceil(sessions_a_day * lifetime * density) as int))) as visits (visit);

create temporary view moments as
select
    sessions.*,
    10 * session + step as event,
    timestamp_millis(cast(
        1000 * (unix_seconds({as_of}) - 86400 * (180 - at_day) + 20 * step * draw(10 * session + step, 'pause'))
    as bigint)) as occurred_at
from sessions
cross join lateral explode(sequence(0, 7)) as steps (step);

create temporary view event_logs as
select
    concat('id_', md5(cast(event as string))) as id,
    concat('ev_', md5(concat(event, '+'))) as event_id,
    name as anonymous_user_id,
    concat('session_', session) as session_id,
    concat('install_', number) as install_id,
    if(number % 2 = 0, 'ios', 'android') as platform,
    concat('1.4.', number % 7) as app_version,
    element_at(
        array(
            'app_opened', 'tab_opened', 'workouts_default_loaded', 'workout_started',
            'exercise_logged', 'session_submitted', 'achievement_unlocked', 'profile_viewed',
            'settings_opened', 'push_received'
        ),
        1 + cast(floor(10 * power(draw(event, 'name'), 1.2)) as int)
    ) as event_name,
    occurred_at,
    timestamp_millis(cast(unix_millis(occurred_at) - 6000 * ln(1 - draw(event, 'lag')) as bigint)) as received_at,
    occurred_at + interval '1' second as sent_at,
    '{{"source": "organic", "screen": "home", "duration_ms": 1234}}' as properties,
    '{{"os": "17.2", "tz": "Europe/Berlin", "model": "iPhone15,3", "locale": "en_US"}}' as context,
    0L as assignment_version,
    '[]' as assignments,
    if(number % 10 = 0, null, concat(
        '{{', array_join(transform(map_entries(variants), pair -> concat('"', pair.key, '": "', pair.value, '"')), ', '), '}}'
    )) as experiment_map,
    1L as schema_version,
    cast(occurred_at as date) as day
from moments;

create temporary view assignments as
select
    concat(name, experiment_id) as id,
    name as anonymous_user_id,
    experiment_id,
    variant_id,
    timestamp_millis(cast(1000 * (unix_seconds({as_of}) - 86400 * (180 - first_day)) as bigint)) as assigned_at
from people
cross join lateral explode(variants) as pairs (experiment_id, variant_id);

create temporary view experiments as
select
    concat('exp_', id) as experiment_id,
    'RUNNING' as status,
    {as_of} - interval '60' day as start_at,
    cast(null as timestamp) as end_at,
    '{{"platform": ["ios"]}}' as targeting
from range(1, 3);

create temporary view experiment_variants as
select
    concat('exp_', experiment, variant_id) as id,
    concat('exp_', experiment) as experiment_id,
    variant_id,
    lower(variant_id) as variant_name,
    variant_id = 'A' as is_control,
    0.5d as weight
from explode(array(1, 2)) as experiments (experiment)
cross join explode(array('A', 'B', 'C')) as variants (variant_id)
where experiment = 1 or variant_id <> 'C'
