"""The docs site describes everything that exists, and nothing else."""

import re

import pytest
from dbt import compilation
from dbt_common.clients.jinja import get_environment
from jinja2 import nodes as jinja
from tables import TABLES

from dbt_project import ROOT, run_log, runner
from dbt_project.database import dbt_environment

PROJECT = "analytics_rollups"


@pytest.fixture(scope="module")
def manifest(maintenance, tmp_path_factory):
    """The project as dbt parses it, without warnings."""
    folder = str(tmp_path_factory.mktemp("target"))
    strict = ["--no-partial-parse", "--warn-error", "--show-all-deprecations"]
    arguments = ["parse", *strict, "--target-path", folder, "--log-level", "none"]
    outcome = runner.dbt(arguments, dbt_environment(maintenance))
    assert outcome.success, outcome.exception
    return outcome.result


def undescribed(manifest):
    """Name what lacks a description, and described arguments that a macro does not have."""
    nodes = [n for n in manifest.nodes.values() if n.resource_type != "operation"]
    nodes += manifest.sources.values()
    macros = [macro for macro in manifest.macros.values() if macro.package_name == PROJECT]
    # The macro that dispatches is described.
    engines = ("default__", "postgres__", "spark__")
    macros = [macro for macro in macros if not macro.name.startswith(engines)]
    others = [*manifest.unit_tests.values(), *macros]
    lacking = [one.unique_id for one in (*nodes, *others) if not one.description.strip()]
    columns = [(node.unique_id, c) for node in nodes for c in node.columns.values()]
    lacking += [f"{node}.{c.name}" for node, c in columns if not c.description.strip()]
    for macro in macros:
        described = {argument.name for argument in macro.arguments if argument.description}
        (parsed,) = get_environment().parse(macro.macro_sql).find_all(jinja.Macro)
        differing = described ^ {argument.name for argument in parsed.args}
        lacking += [f"{macro.unique_id}({name})" for name in differing]
    return lacking


def test_everything_is_described(manifest):
    counts = [len(manifest.nodes), len(manifest.unit_tests)]
    assert counts[0] > 25 and counts[1] > 20
    assert undescribed(manifest) == []


def test_described_columns_match_the_tables(source, manifest):
    environment = dbt_environment(source.conn)
    run_log.create(source.conn, "analytics")
    for command in (["seed"], ["run"], ["compile", "--select", "resource_type:model"]):
        outcome = runner.dbt([*command, "--log-level", "none"], environment)
        assert outcome.success
    compiled = [one.node for one in outcome.result.results if one.node.resource_type == "model"]
    # The tests' quick way to compile gives what dbt's own does.
    for node in (node for node in compiled if node.extra_ctes):
        by_dbt = compilation.inject_ctes_into_sql.__wrapped__
        assert by_dbt(node._pre_injected_sql, node.extra_ctes) == node.compiled_code
    queries_by_id = {node.unique_id: node.compiled_code for node in compiled}
    seeds = [node for node in manifest.nodes.values() if node.resource_type == "seed"]
    queries_by_id |= {seed.unique_id: f"select * from analytics.{seed.name}" for seed in seeds}
    queries_by_id |= {
        unique_id: f"select * from {one.schema}.{one.identifier}"
        for unique_id, one in manifest.sources.items()
    }
    described = {**manifest.nodes, **manifest.sources}
    models = [*ROOT.glob("models/*/*.sql")]
    assert len(queries_by_id) == len([*models, *seeds, *TABLES, "the run log"])
    for unique_id, query in queries_by_id.items():
        columns = source.conn.execute(f"select * from ({query}) as it limit 0").description
        assert {c.name for c in columns} == set(described[unique_id].columns), unique_id


def test_links_of_the_overview_resolve(manifest):
    text = manifest.docs[f"doc.{PROJECT}.__overview__"].block_contents
    links = re.findall(r"\(#!/(\w+)/([\w.]+)\)", text)
    known = {**manifest.nodes, **manifest.sources}
    kinds = {unique_id: str(one.resource_type) for unique_id, one in known.items()}
    assert len(links) > 5
    assert [one for kind, one in links if kinds.get(one) != kind] == []
