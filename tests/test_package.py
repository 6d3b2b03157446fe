"""The project as a package of another dbt project, and dbt's own ways to build."""

import oracle
import pytest
import tables
from edges import awkward

from dbt_project import ROOT, runner
from dbt_project.database import dbt_environment

FILES = {
    "dbt_project.yml": """
name: shop
version: "1.0.0"
profile: analytics_rollups
vars:
  own: 1
  analytics_rollups:
    key_event: workout_started,exercise_logged
    timezone: Europe/Berlin
    dimensions: [platform]
dispatch:
  - {macro_namespace: analytics_rollups, search_order: [shop, analytics_rollups]}
models:
  analytics_rollups:
    +schema: rollups
    retention: {+enabled: false}
seeds:
  analytics_rollups:
    +schema: rollups
    funnel: {funnel_steps: {+enabled: false}}
  shop: {+schema: rollups}
""",
    "seeds/funnel_steps.csv": (
        "funnel_name,step,step_name,event_name,conversion_window_hours\n"
        "buy,1,open,app_opened,24\nbuy,2,done,workout_started,24\n"
    ),
    "macros/own_daily_metrics.sql": """
{% macro default__own_daily_metrics() %}
with counts as (select * from {{ ref('int_event_counts') }})

select days.day, 'events' as metric_name, coalesce(sum(counts.event_count), 0) as value,
    cast(null as jsonb) as dimensions, 0 as horizon_days
from ({{ analytics_rollups.window_spine() }}) as days
left join counts on counts.day = days.day
group by 1
{% endmacro %}
""",
    "models/mine.sql": "select day from {{ ref('daily_metric_rollups') }} -- {{ var('own') }}",
}


@pytest.fixture
def package(source, tmp_path, monkeypatch):
    """Run dbt in a project that uses this one, whose folder has a space."""
    folder = tmp_path / "a shop"
    for name, text in {**FILES, "packages.yml": f"packages: [{{local: '{ROOT}'}}]"}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for variable, value in (("DBT_TARGET_PATH", "target"), ("DBT_LOG_PATH", "logs")):
        monkeypatch.setenv(variable, f"{folder}/{value}")

    def run(*arguments):
        place = ["--project-dir", f"{folder}"]
        outcome = runner.dbt([*arguments, *place, *runner.QUIET], dbt_environment(source.conn))
        assert outcome.success, outcome.exception or [
            f"{r.node.name}: {r.message}" for r in outcome.result.results if r.status != "success"
        ]

    run("deps")
    return run


def test_another_project_uses_this_one_as_a_package(source, package, monkeypatch):
    now = tables.NOW
    awkward(source, now)
    jobs = ("--exclude-resource-type", "unit_test", "--vars", f"{{as_of: '{now}+00:00'}}")
    package("build", *jobs)

    monkeypatch.setenv("ROLLUP_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("KEY_EVENT", "workout_started,exercise_logged")
    found = tables.stored(source.conn, "analytics_rollups")
    rows = source.rows()
    wanted = tables.expected(rows, now, 14, dimensions=["platform"])
    for job in ("daily", "experiment"):
        ours = tables.of_job(found, job)
        assert tables.differences(ours, tables.of_job(wanted, job)) == []
    assert {key[1] for key in found.funnel} == {"buy"} and not found.retention
    added = {key[0]: row[0] for key, row in found.daily.items() if key[1] == "events"}
    by_day = oracle.events_by_day(rows, now, oracle.window_dates(now, 14))
    assert added == {day: len(events) for day, events in by_day.items()}
    log = source.conn.execute("select job_name, status from analytics_rollups.rollup_runs")
    assert set(log) == {(job, "SUCCESS") for job in ("daily", "experiment", "funnel")}

    # What reads a part of the source changes nothing, nor do the project's own models.
    package("build", "--select", "mine")
    package("build", "--empty", *jobs)
    package("build", "--sample", "2 days", *jobs)
    assert tables.differences(tables.stored(source.conn, "analytics_rollups"), found) == []
    runs = source.conn.execute("select count(*) from analytics_rollups.rollup_runs")
    assert runs.fetchone() == (3,)
