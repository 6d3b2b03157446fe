"""The dbt project as people use it without the command line."""

import re
import shutil
from collections import Counter
from datetime import UTC
from types import SimpleNamespace

import pytest
import tables
from dbt_common.clients.agate_helper import from_csv
from jinja2 import Environment
from readouts_oracle import Metric

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
    assert kinds["model"] == 11 and kinds["seed"] == 2
    assert kinds["unit_test"] > 15 and kinds["test"] > 10


STEPS = "funnel_name,step,step_name,event_name\n"
WRONG_STEPS = {
    "funnel_name,step_name,event_name\nf,open,a\n": "must have the columns funnel_name,step,",
    f"{STEPS}f,1,open,a\nf,0,done,b\n": "line 3: step must be a whole number from 1",
    f"{STEPS}f,first,open,a\n": "line 2: step must be a whole number from 1",
    f"{STEPS}f,1,open,a\nf,1,done,b\n": "line 3: step 1 of f is open above and done here",
    f"{STEPS}f,1,open,a\nf,2,open,b\n": "line 3: open of f is step 1 above and 2 here",
}
COLUMNS = ",".join(Metric._fields)
FINE = "m,any,a,,0,24,,increase,goal"
# A second line, and the column to blame.
WRONG_METRICS = {
    FINE: "metric_name",
    ",any,a,,0,24,,increase,goal": "metric_name",
    "n,some,a,,0,24,,increase,goal": "measure",
    "n,any,a|,,0,24,,increase,goal": "event_name",
    "n,ratio,a,,0,24,,increase,goal": "denominator_event_name",
    "n,count,a,b,0,24,,increase,goal": "denominator_event_name",
    "n,any,a,,-1,24,,increase,goal": "delay_hours",
    "n,any,a,,,24,,increase,goal": "delay_hours",
    "n,any,a,,0,0,,increase,goal": "window_hours",
    "n,any,a,,0,a day,,increase,goal": "window_hours",
    "n,any,a,,0,24,5,increase,goal": "cap",
    "n,count,a,,0,24,0,increase,goal": "cap",
    "n,any,a,,0,24,,more,goal": "desired",
    "n,any,a,,0,24,,increase,": "role",
}


def test_invalid_metrics_are_refused_with_their_line(tmp_path):
    def refuse(message):
        raise ValueError(message)

    def check(text):
        path = tmp_path / "experiment_metrics.csv"
        path.write_text(text)
        seed = from_csv(path, text.partition("\n")[0].split(","))  # as dbt reads it
        environment.globals["load_agate_table"] = lambda: seed
        environment.from_string(macro).module.check_experiment_metrics()

    macro = (ROOT / "macros/check_experiment_metrics.sql").read_text()
    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals |= {"execute": True, "modules": SimpleNamespace(re=re)}
    environment.globals["model"] = SimpleNamespace(original_file_path="experiment_metrics.csv")
    environment.globals["exceptions"] = SimpleNamespace(raise_compiler_error=refuse)
    check(f"{COLUMNS}\n{FINE}\nn,ratio,a|b,$key_event,0.5,24,,decrease,guardrail\n")
    for line, column in WRONG_METRICS.items():
        with pytest.raises(ValueError, match=f"metrics.csv, line 3: {column} "):
            check(f"{COLUMNS}\n{FINE}\n{line}\n")
    with pytest.raises(ValueError, match=f"must have the columns {COLUMNS}"):
        check("metric_name\nm\n")


def test_an_invalid_seed_is_refused_before_anything_is_written(source, tmp_path):
    for folder in ("models", "macros", "seeds", "tests/generic"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "dbt_project.yml", tmp_path)
    source.do("create schema analytics")
    source.do(
        "create table analytics.funnel_steps as select 'f' as funnel_name, 'kept' as step_name,"
        " 'a' as event_name"
    )
    place = ["--project-dir", f"{tmp_path}", "--target-path", f"{tmp_path}/target", *runner.QUIET]

    def assert_refused(job, seed, text, message):
        (tmp_path / f"seeds/{job}/{seed}.csv").write_text(text)
        command = ["build", "--select", job, *place]
        outcome = runner.dbt(command, dbt_environment(source.conn))
        assert not outcome.success, text
        assert any(message in " ".join(it.message.split()) for it in outcome.result.results)

    for text, message in WRONG_STEPS.items():
        assert_refused("funnel", "funnel_steps", text, message)
    wrong = f"{COLUMNS}\n{FINE}\n{FINE}\n"
    assert_refused("experiment", "experiment_metrics", wrong, "line 3: metric_name")
    kept = source.conn.execute("select step_name from analytics.funnel_steps")
    assert kept.fetchall() == [("kept",)]
    written = "select relname from pg_class where relnamespace = 'analytics'::regnamespace"
    tables = {name for (name,) in source.conn.execute(f"{written} and relkind = 'r'")}
    assert tables == {"funnel_steps", "rollup_runs"}
