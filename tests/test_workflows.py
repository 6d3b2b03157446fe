"""The scripts of the scheduled workflow, run as GitHub runs them."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from receivers import Webhook

from dbt_project import ROOT, schedule

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/analytics-rollup.yml").read_text())
STEPS = WORKFLOW["jobs"]["rollup"]["steps"]


@pytest.fixture
def step(tmp_path, database_url):
    """Run a step; return the process and the page of the run."""
    page = tmp_path / "summary.md"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(name="Run the jobs", folder=ROOT, **inputs):
        (script,) = [step["run"] for step in STEPS if step.get("name") == name]
        env = {"DATABASE_URL": database_url, "JOB": "all", "WINDOW_DAYS": "14"}
        env |= {"ALERT_URLS": "", **inputs}
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": path, "GITHUB_STEP_SUMMARY": str(page), **env},
            capture_output=True,
            text=True,
        )
        return process, page.read_text() if page.exists() else ""

    return run


@pytest.mark.parametrize(("age", "warned"), [(29, False), (30, True), (61, True)])
def test_page_warns_before_github_disables_the_schedule(step, tmp_path, age, warned):
    then = f"{datetime.now(UTC) - timedelta(days=age, hours=1):%Y-%m-%dT%H:%M:%S+00:00}"
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "Begin"]):
        dated = {**os.environ, "GIT_COMMITTER_DATE": then}
        subprocess.run(["git", *arguments], cwd=tmp_path, env=dated, check=True)
    process, page = step("Warn before GitHub disables the schedule", tmp_path)
    assert process.returncode == 0, process.stderr
    assert (f"The last commit is {age} days old." in page) == warned == bool(page)


def test_page_shows_rows_written_and_events_ignored(source, step):
    now = datetime.now(UTC).replace(tzinfo=None)
    source.event(now, "session_submitted")
    source.event(now + timedelta(hours=1), received=now)
    process, page = step(JOB="daily", WINDOW_DAYS="2")
    assert process.returncode == 0, process.stderr
    heading, _, *rows = page.splitlines()
    assert heading.startswith("### Window ") and rows[:2] == [
        "| job | result | rows written | seconds | events ignored |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    assert [cell.strip() for cell in rows[2].split("|")[1:4]] == ["daily", "ok", "13"]
    assert rows[2].endswith("| 1 in the future |") and len(rows) == 3


def test_failure_is_on_the_page_and_fails_the_step(source, step, run):
    assert run("--job", "funnel", "--window-days", 1).exit_code == 0
    source.do("alter table analytics.funnel_rollups add check (users_count < 0) not valid")
    process, page = step(JOB="funnel", WINDOW_DAYS="1")
    assert process.returncode == 1
    assert "| funnel | FAILED |" in page and "\n    model funnel_rollups: error" in page


def test_trouble_is_told_where_there_are_urls(source, step):
    process, page = step("Check the numbers")
    assert (process.returncode, process.stdout, page) == (0, "", "")
    with Webhook().serving() as webhook:
        urls = f"json://127.0.0.1:{webhook.port}"
        process, page = step("Check the numbers", ALERT_URLS=urls)
        assert process.returncode == 1 and "event_logs is stale" in page
        source.do("drop table event_logs cascade")
        process, _ = step(JOB="daily", ALERT_URLS=urls)
        assert process.returncode == 1 and "A run could not start" in webhook.last


def test_both_schedules_are_the_ones_of_the_command():
    crons = [entry["cron"] for entry in WORKFLOW[True]["schedule"]]
    (script,) = [step for step in STEPS if step.get("name") == "Run the jobs"]
    assert crons == ["23 5 * * *", f"{schedule.MINUTE} * * * *"]
    for name, hourly, nightly in (
        ("JOB", schedule.SHORT[1], "all"),
        ("WINDOW_DAYS", schedule.SHORT[3], schedule.FULL[1]),
    ):
        assert f"'{crons[1]}' && '{hourly}' || '{nightly}'" in script["env"][name]


def test_logs_are_uploaded_only_if_a_variable_allows_it():
    uploads = [step["if"] for step in STEPS if "upload-artifact" in step.get("uses", "")]
    assert uploads == ["failure() && vars.KEEP_DBT_LOGS == 'true'"]


def test_window_of_0_days_does_not_become_the_default():
    # In `inputs.window_days || '14'` a number 0 is false, and a text "0" is not.
    inputs = WORKFLOW[True]["workflow_dispatch"]["inputs"]
    assert inputs["window_days"]["type"] == "string"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL: is not among the secrets"),
        ({"JOB": "$(touch pwned)"}, "Invalid value for '--job'"),
        ({"WINDOW_DAYS": "0"}, "Invalid value for '--window-days'"),
        ({"WINDOW_DAYS": "1; exit 0"}, "Invalid value for '--window-days'"),
    ],
)
def test_bad_input_fails_before_anything_is_written(source, step, inputs, message):
    process, page = step(**inputs)
    assert process.returncode != 0 and message in process.stderr and page == ""
    assert not (ROOT / "pwned").exists()
    assert source.conn.execute("select to_regnamespace('analytics')").fetchone() == (None,)
