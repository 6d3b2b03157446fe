"""Plans stay linear where the planner misestimates: these tables have no statistics."""

import os
import re
from pathlib import Path

import pytest
from tables import NOW, differences, expected, stored

from dbt_project import ROOT

SETTINGS = re.findall("set local .*;", (ROOT / "macros/statement.sql").read_text())
MODELS = ("daily_metric_rollups", "daily_dimension_rollups", "experiment_metric_rollups",
          "funnel_rollups", "funnel_conversion_rollups", "retention_rollups",
          "active_user_rollups")  # fmt: skip
USERS = """
    insert into event_logs (
        id, anonymous_user_id, session_id, install_id, platform, event_name, occurred_at
    )
    select
        'e' || number || '-' || nth, 'u' || number, 's', 'i', 'ios',
        case nth when 0 then 'app_opened' else 'session_submitted' end,
        timestamp '2026-11-14' + (number * 65537 %% 800000 + nth * 3600) * interval '1 second'
    from generate_series(%s::int, %s::int) as number, generate_series(0, 2) as nth;
"""
ASSIGNMENTS = """
    insert into assignments (id, anonymous_user_id, experiment_id, variant_id, assigned_at)
    select 'a' || number, 'u' || number, 'x', 'A', timestamp '2026-11-14'
    from generate_series(%s::int, %s::int) as number
"""
# What `select` gives for it has no index on the user.
WITHOUT_INDEX = """
    alter table event_logs rename to raw_events;
    create view event_logs as
    select *, anonymous_user_id::varchar(99) as casted from raw_events;
    alter view event_logs rename anonymous_user_id to not_this_one;
    alter view event_logs rename casted to anonymous_user_id
"""


def plans(conn, *models):
    """Return the plan, from `explain analyze`, of each model's query in the last run."""
    compiled = Path(os.environ["DBT_TARGET_PATH"], "compiled/analytics_rollups/models")
    found = {}
    for model in models:
        (path,) = compiled.glob(f"*/{model}.sql")
        with conn.transaction():
            conn.execute("".join(SETTINGS))
            query = f"explain (analyze, buffers, format json) {path.read_text()}"
            ((found[model],),) = conn.execute(query).fetchone()
    return found


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def rows(plan):
    """Return how many rows the nodes of a plan returned or filtered out."""
    looked_at = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    return sum(
        float(node.get(name, 0)) * float(node["Actual Loops"])
        for node in nodes(plan["Plan"])
        for name in looked_at
    )


@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
def test_twice_the_users_are_twice_the_work(source, run, index):
    source.experiment("x", ("A", "B"))
    source.do(USERS, 1, 3_000)
    source.do(ASSIGNMENTS, 1, 3_000)
    if not index:
        source.do(WITHOUT_INDEX)
    assert run().exit_code == 0
    before = {model: rows(plan) for model, plan in plans(source.conn, *MODELS).items()}
    source.do(USERS if index else USERS.replace("event_logs", "raw_events"), 3_001, 6_000)
    source.do(ASSIGNMENTS, 3_001, 6_000)
    after = {model: rows(plan) for model, plan in plans(source.conn, *MODELS).items()}
    assert {model: after[model] / before[model] < 2.2 for model in MODELS} == dict.fromkeys(
        MODELS, True
    )


def test_a_map_of_many_experiments_is_kept_once(source, run):
    many = {f"experiment {number}": "B" for number in range(4_000)}
    source.event("2026-11-20 12:00", user="a", mapping=many)
    source.event("2026-11-20 13:00", user="a", mapping={"x": "A"})
    assert run("--job", "funnel").exit_code == 0
    found = stored(source.conn)
    wanted = expected(source.rows(), NOW, 14)
    assert differences(found, found._replace(funnel=wanted.funnel)) == []
    plan = plans(source.conn, "funnel_rollups")["funnel_rollups"]["Plan"]
    kilobytes = sum(
        node.get("Peak Memory Usage", 0) + 8 * node.get("Temp Written Blocks", 0)
        for node in nodes(plan)
    )
    assert kilobytes < 40_000  # the map's text beside each pair would take 500 MB
