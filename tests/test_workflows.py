"""The scheduled workflow's own script, run as GitHub runs it, on a real database."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from dbt_project import ROOT

WORKFLOW = ROOT / ".github/workflows/analytics-rollup.yml"


@pytest.fixture
def step(tmp_path, database_url):
    """Run the step that runs the jobs; return the process and its page."""
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["rollup"]["steps"]
    (script,) = [step["run"] for step in steps if step.get("name") == "Run the jobs"]
    page = tmp_path / "summary.md"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(**inputs):
        asked = {"DATABASE_URL": database_url, "JOB": "all", "WINDOW_DAYS": "14", **inputs}
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "GITHUB_STEP_SUMMARY": str(page), **asked},
            capture_output=True,
            text=True,
        )
        return process, page.read_text() if page.exists() else ""

    return run


def test_the_page_of_a_run_says_what_was_written_and_ignored(source, step):
    now = datetime.now(UTC).replace(tzinfo=None)
    source.event(now)
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


def test_a_failure_stands_on_the_page_and_ends_the_step(source, step, run):
    assert run("--job", "funnel", "--window-days", 1).exit_code == 0
    source.do("alter table analytics.funnel_rollups add check (users_count < 0) not valid")
    process, page = step(JOB="funnel", WINDOW_DAYS="1")
    assert process.returncode == 1
    assert "| funnel | FAILED |" in page and "\n    model funnel_rollups: error" in page


def test_logs_are_published_only_where_a_variable_says_so():
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["rollup"]["steps"]
    uploads = [step["if"] for step in steps if "upload-artifact" in step.get("uses", "")]
    assert uploads == ["failure() && vars.KEEP_DBT_LOGS == 'true'"]


def test_a_window_of_0_days_is_not_taken_for_none_given():
    asked = yaml.safe_load(WORKFLOW.read_text())[True]["workflow_dispatch"]["inputs"]
    # To `inputs.window_days || '14'` a number 0 is false, and a text "0" is not.
    assert {name: one["type"] for name, one in asked.items()} == {
        "job": "choice",
        "window_days": "string",
    }


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL: is not among the secrets"),
        ({"JOB": "$(touch pwned)"}, "Invalid value for '--job'"),
        ({"WINDOW_DAYS": "0"}, "Invalid value for '--window-days'"),
        ({"WINDOW_DAYS": "1; exit 0"}, "Invalid value for '--window-days'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(source, step, inputs, message):
    process, page = step(**inputs)
    assert process.returncode != 0 and message in process.stderr and page == ""
    assert not (ROOT / "pwned").exists()
    assert source.conn.execute("select to_regnamespace('analytics')").fetchone() == (None,)
