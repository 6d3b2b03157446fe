"""The dbt project as people use it who never see the command line."""

import shutil
from collections import Counter
from datetime import UTC

import psycopg
import pytest
import tables

from dbt_project import ROOT, demo, runner
from dbt_project.database import dbt_environment


@pytest.fixture
def app(database_url):
    """A connection to a small demo app."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        demo.fill(conn, "public", tables.NOW.replace(tzinfo=UTC), users=150, days=20)
        yield conn


def test_a_whole_build_passes_every_test_without_a_warning(app):
    arguments = ["--warn-error", "build", "--log-level", "none"]
    outcome = runner.dbt(arguments, dbt_environment(app))
    told = [f"{r.node.name}: {r.status} {r.message}" for r in outcome.result.results]
    assert outcome.success, "\n".join(told)
    kinds = Counter(result.node.resource_type.value for result in outcome.result.results)
    assert kinds["model"] == 4 and kinds["seed"] == 1
    assert kinds["unit_test"] > 15 and kinds["test"] > 10


STEPS = "funnel_name,step,step_name,event_name\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("funnel_name,step_name,event_name\nf,open,a\n", "must have the columns funnel_name,step,"),
        (f"{STEPS}f,1,open,a\nf,0,done,b\n", "line 3: step must be a whole number from 1"),
        (f"{STEPS}f,first,open,a\n", "line 2: step must be a whole number from 1"),
        (f"{STEPS}f,1,open,a\nf,1,done,b\n", "line 3: step 1 of f is open above and done here"),
        (f"{STEPS}f,1,open,a\nf,2,open,b\n", "line 3: open of f is step 1 above and 2 here"),
    ],
)
def test_steps_that_make_no_sense_are_refused_by_line(app, tmp_path, text, message):
    for folder in ("models", "macros", "seeds"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copytree(ROOT / "tests/generic", tmp_path / "tests/generic")
    shutil.copy(ROOT / "dbt_project.yml", tmp_path)
    (tmp_path / "seeds/funnel/funnel_steps.csv").write_text(text)
    app.execute("create schema analytics")
    app.execute(
        "create table analytics.funnel_steps as select 'f' as funnel_name, 'kept' as step_name,"
        " 'a' as event_name"
    )
    outcome = runner.dbt(
        ["seed", "--project-dir", str(tmp_path), "--target-path", str(tmp_path / "target"),
         *runner.QUIET],
        dbt_environment(app),
    )  # fmt: skip
    assert not outcome.success
    assert any(message in " ".join(it.message.split()) for it in outcome.result.results)
    assert app.execute("select step_name from analytics.funnel_steps").fetchall() == [("kept",)]
