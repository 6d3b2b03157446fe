"""Whatever the docs site shows is described, and whatever is described exists."""

import json
import re

import pytest
from dbt_common.clients.jinja import get_environment
from jinja2 import nodes as jinja
from tables import TABLES

from api import queries, responses
from dbt_project import ROOT, run_log, runner
from dbt_project.database import dbt_environment
from dbt_project.window import JOBS

PROJECT = "analytics_rollups"
DASHBOARD_READS = ("api_daily", "api_experiments", "api_funnels", "api_summary", "api_runs")


@pytest.fixture(scope="module")
def manifest(maintenance, tmp_path_factory):
    """The project as dbt reads it from the files alone; not so much as a warning is allowed."""
    folder = str(tmp_path_factory.mktemp("target"))
    strict = ["--no-partial-parse", "--warn-error", "--show-all-deprecations"]
    arguments = ["parse", *strict, "--target-path", folder, "--log-level", "none"]
    outcome = runner.dbt(arguments, dbt_environment(maintenance))
    assert outcome.success, outcome.exception
    return outcome.result


def undescribed(manifest):
    """Name everything that lacks a description, and arguments described that no macro has."""
    nodes = [n for n in manifest.nodes.values() if n.resource_type != "operation"]
    sources = [*manifest.sources.values()]
    others = [*manifest.exposures.values(), *manifest.unit_tests.values()]
    lacking = [n.unique_id for n in (*nodes, *sources, *others) if not n.description.strip()]
    lacking += [f"{s.unique_id} as a whole" for s in sources if not s.source_description.strip()]
    lacking += [
        f"{node.unique_id}.{column.name}"
        for node in (*nodes, *sources)
        for column in node.columns.values()
        if not column.description.strip()
    ]
    for macro in macros(manifest):
        told = {argument.name: argument.description for argument in macro.arguments}
        taken = arguments_of(macro)
        lacking += [] if macro.description.strip() else [macro.unique_id]
        lacking += [f"{macro.unique_id}({name})" for name in taken if not told.get(name)]
        lacking += [f"{macro.unique_id} has no {name}" for name in told if name not in taken]
    return lacking


def macros(manifest):
    return [macro for macro in manifest.macros.values() if macro.package_name == PROJECT]


def arguments_of(macro):
    (parsed,) = get_environment().parse(macro.macro_sql).find_all(jinja.Macro)
    return [argument.name for argument in parsed.args]


def test_everything_is_described(manifest):
    counts = [len(manifest.nodes), len(manifest.exposures), len(manifest.unit_tests)]
    assert counts > [25, 5, 20] and len(macros(manifest)) > 30
    assert undescribed(manifest) == []


def test_the_described_columns_are_the_columns(source, manifest):
    environment = dbt_environment(source.conn)
    run_log.create(source.conn, "analytics")
    for command in (["seed"], ["compile", "--select", "resource_type:model"]):
        outcome = runner.dbt([*command, "--log-level", "none"], environment)
        assert outcome.success
    compiled = (one.node for one in outcome.result.results if one.node.resource_type == "model")
    queries_by_id = {node.unique_id: node.compiled_code for node in compiled}
    queries_by_id[f"seed.{PROJECT}.funnel_steps"] = "select * from analytics.funnel_steps"
    queries_by_id |= {
        unique_id: f"select * from {one.schema}.{one.identifier}"
        for unique_id, one in manifest.sources.items()
    }
    described = {**manifest.nodes, **manifest.sources}
    models = [*ROOT.glob("models/*/*.sql")]
    assert len(queries_by_id) == len([*models, "the seed", *TABLES, "the run log"])
    for unique_id, query in queries_by_id.items():
        columns = source.conn.execute(f"select * from ({query}) as it limit 0").description
        assert {c.name for c in columns} == set(described[unique_id].columns), unique_id


def test_exposures_read_what_the_endpoints_read(manifest):
    statements = queries.load("analytics")

    def tables(*names):
        found = [re.findall(r'"analytics"\.(\w+)', statements[name]) for name in names]
        return {table for tables in found for table in tables}

    reads = {
        f"api_{endpoint.name}": tables(
            *endpoint.statements,
            *(f"job_{job}" for job in endpoint.jobs),
            *(name for name in statements if name == f"{endpoint.name}.csv"),
        )
        for endpoint in (
            responses.DAILY,
            responses.EXPERIMENTS,
            responses.FUNNELS,
            responses.SUMMARY,
        )
    }
    reads |= {"api_runs": tables("runs"), "api_ready": tables(*(f"job_{job}" for job in JOBS))}
    reads["dashboard"] = set().union(*(reads[name] for name in DASHBOARD_READS))

    known = {**manifest.nodes, **manifest.sources}
    assert {
        one.name: {known[i].identifier for i in one.depends_on.nodes}
        for one in manifest.exposures.values()
    } == reads
    documented = json.loads((ROOT / "api/openapi.json").read_text())["paths"].keys()
    served = {one.label.removeprefix("GET ") for one in manifest.exposures.values()}
    assert served - {"Dashboard"} == documented - {"/health"}  # which reads nothing


def test_links_of_the_overview_lead_somewhere(manifest):
    text = manifest.docs[f"doc.{PROJECT}.__overview__"].block_contents
    links = re.findall(r"\(#!/(\w+)/([\w.]+)\)", text)
    known = {**manifest.nodes, **manifest.sources, **manifest.exposures}
    assert len(links) > 5
    assert [
        one for kind, one in links if one not in known or kind != known[one].resource_type
    ] == []
