"""The dbt project as people use it without the command line."""

import shutil
from collections import Counter
from datetime import UTC

import tables

from dbt_project import ROOT, demo, runner
from dbt_project.database import dbt_environment


def test_a_whole_build_passes_every_test_without_a_warning(db):
    demo.fill(db, "public", tables.NOW.replace(tzinfo=UTC), users=150, days=20)
    db.commit()
    arguments = ["--warn-error", "build", "--log-level", "none"]
    outcome = runner.dbt(arguments, dbt_environment(db))
    told = [f"{r.node.name}: {r.status} {r.message}" for r in outcome.result.results]
    assert outcome.success, "\n".join(told)
    kinds = Counter(result.node.resource_type.value for result in outcome.result.results)
    assert kinds["model"] == 7 and kinds["seed"] == 2
    assert kinds["unit_test"] > 15 and kinds["test"] > 10


STEPS = "funnel_name,step,step_name,event_name\n"
WRONG_STEPS = {
    "funnel_name,step_name,event_name\nf,open,a\n": "must have the columns funnel_name,step,",
    f"{STEPS}f,1,open,a\nf,0,done,b\n": "line 3: step must be a whole number from 1",
    f"{STEPS}f,first,open,a\n": "line 2: step must be a whole number from 1",
    f"{STEPS}f,1,open,a\nf,1,done,b\n": "line 3: step 1 of f is open above and done here",
    f"{STEPS}f,1,open,a\nf,2,open,b\n": "line 3: open of f is step 1 above and 2 here",
}


def test_invalid_funnel_steps_are_refused_with_their_line(source, tmp_path):
    for folder in ("models", "macros", "seeds", "tests/generic"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "dbt_project.yml", tmp_path)
    source.do("create schema analytics")
    source.do(
        "create table analytics.funnel_steps as select 'f' as funnel_name, 'kept' as step_name,"
        " 'a' as event_name"
    )
    command = ["seed", "--project-dir", f"{tmp_path}", "--target-path", f"{tmp_path}/target"]
    for text, message in WRONG_STEPS.items():
        (tmp_path / "seeds/funnel/funnel_steps.csv").write_text(text)
        outcome = runner.dbt([*command, *runner.QUIET], dbt_environment(source.conn))
        assert not outcome.success, text
        assert any(message in " ".join(it.message.split()) for it in outcome.result.results)
    kept = source.conn.execute("select step_name from analytics.funnel_steps")
    assert kept.fetchall() == [("kept",)]
