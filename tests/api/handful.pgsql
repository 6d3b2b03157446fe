-- Three users, two days. Everything that the API says of them can be counted on fingers.
insert into event_logs (
    id, anonymous_user_id, session_id, install_id, platform, event_name,
    occurred_at, received_at, sent_at, properties, context,
    assignment_version, assignments, experiment_map, schema_version
)
select
    id, user_id, user_id, user_id, 'ios', event_name,
    cast(occurred_at as timestamp),
    cast(occurred_at as timestamp) + lag,
    cast(occurred_at as timestamp), '{}', '{}',
    1, '{}', cast(experiment_map as jsonb), 1
from (
    values
    ('e1', 'u1', 'app_opened', '2026-11-22 08:00', interval '2 s', '{"exp_1": "A"}'),
    ('e2', 'u1', 'session_submitted', '2026-11-22 09:00', interval '2 s', '{"exp_1": "A"}'),
    ('e3', 'u2', 'tab_opened', '2026-11-22 10:00', interval '0.5 s', '{"exp_1": "B"}'),
    ('e4', 'u1', 'app_opened', '2026-11-23 08:30', interval '4 s', '{"exp_1": "A"}'),
    ('e5', 'u3', '__proto__', '2026-11-23 12:00', interval '0 s', null)
) as event (id, user_id, event_name, occurred_at, lag, experiment_map);

insert into assignments (
    id, anonymous_user_id, experiment_id, variant_id, assigned_at, assignment_version, context
)
values
('a1', 'u1', 'exp_1', 'A', '2026-11-22 08:00', 1, '{}'),
('a2', 'u2', 'exp_1', 'B', '2026-11-22 10:00', 1, '{}');

insert into experiments (
    experiment_id, status, start_at, end_at, targeting, config_schema_version,
    created_at, updated_at
)
values
(
    'exp_1', 'RUNNING', '2026-11-01 06:07:08.009', null, '{"platform": ["ios"]}', 1,
    '2026-11-01', '2026-11-01'
),
('exp_2', 'DRAFT', '2026-12-01', '2026-12-31', '{}', 1, '2026-11-01', '2026-11-01');

insert into experiment_variants (
    id, experiment_id, variant_id, variant_name, is_control, weight, config, created_at
)
values
('v2', 'exp_1', 'B', 'new', false, 0.25, '{}', '2026-11-01'),
('v1', 'exp_1', 'A', 'old', true, 0.75, '{}', '2026-11-01');
