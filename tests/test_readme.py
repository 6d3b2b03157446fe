"""The README and other documents say what is so: settings, endpoints, commands, output."""

import re
from datetime import UTC, datetime
from functools import partial

import documents
import pytest
import tables

from api import create_app
from api.settings import Settings
from dbt_project import ROOT, demo

README = documents.read("README.md")
CODE = ("cli.py", "dbt_project/*.py", "api/*.py", "models/**/*.yml", "profiles.yml.example")


def names(cells):
    """What stands in a column of a table; a cell may hold several names."""
    return [name for cell in cells for name in cell.split(", ")]


def test_every_setting_that_is_read_is_in_the_table():
    text = "\n".join(path.read_text() for glob in CODE for path in ROOT.glob(glob))
    read = re.findall(r"""(?:environ(?:\.get)?[(\[]|environ,\s*|env_var\()["']([A-Z_]+)""", text)
    ours = {name for name in read if not name.startswith("PG")}  # those are libpq's
    told = [name for name, *_ in README.table("Settings")]
    assert len(ours) > 10 and sorted(told) == sorted(ours)


def test_defaults_are_those_of_the_settings():
    defaults = {name: default for name, _, default in README.table("Settings")}
    settings = Settings("")
    assert defaults["API_THREADS"] == f"{settings.pool_size}"
    assert defaults["API_POOL_TIMEOUT_S"] == f"{settings.pool_timeout_s:g}"
    assert defaults["API_STATEMENT_TIMEOUT_S"] == f"{settings.statement_timeout_s:g}"
    assert defaults["ANALYTICS_SCHEMA"] == settings.schema
    assert f"'DBT_THREADS', '{defaults['DBT_THREADS']}'" in (
        (ROOT / "profiles.yml.example").read_text()
    )


@pytest.mark.parametrize(
    ("document", "heading"), [("README.md", "API"), ("docs/api.md", "Endpoints")]
)
def test_every_endpoint_is_in_the_table(document, heading):
    rules = {rule.rule for rule in create_app(Settings("host=/nowhere")).url_map.iter_rules()}
    rules = {rule for rule in rules if "<" not in rule}
    told = set(names(row[0] for row in documents.read(document).table(heading)))
    assert told - {"/"} == rules - {"/"}


def test_the_endpoints_that_want_a_token_are_told():
    client = create_app(Settings("host=/nowhere", token="t", pool_timeout_s=0.1)).test_client()
    for cell, token, _ in README.table("API"):
        for path in names([cell]):
            assert (client.get(path).status_code == 401) == (token == "yes"), path


def alike(line):
    """A line of output without what differs from run to run."""
    line = re.sub(r"in database .*DASHBOARD_TOKEN=\S+ \S+", "DASHBOARD_TOKEN=t python", line)
    line = re.sub(r"[\d,]*\.?\d+\*?", "#", line)
    return " ".join(line.split())


def test_the_output_of_the_demo_is_real_and_comes_once(database_url, cli, monkeypatch):
    monkeypatch.setattr(demo, "fill", partial(demo.fill, users=60, days=20))
    outcome = cli("demo")
    assert outcome.exit_code == 0, outcome.stderr
    assert re.search(rf"^{datetime.now(UTC).date()} ", outcome.stdout, re.M)
    printed = {alike(line) for line in (outcome.stderr + outcome.stdout).splitlines()}
    shown = next(block.text for block in README.blocks if "$ make demo" in block.text).splitlines()
    assert shown[:2] == ["$ make demo", ".venv/bin/python cli.py demo"]
    assert len(shown) > 20
    for line in shown[2:]:
        assert line == "…" or alike(line) in printed, line
    again = cli("demo")
    assert again.exit_code == 0
    assert "The made-up app was there already, with " in again.stdout


def test_every_query_for_operators_runs(source, run):
    source.event(tables.NOW)
    assert run("--window-days", 1).exit_code == 0
    source.do("set search_path to public, analytics")
    documented = (documents.read(f"docs/{name}.md") for name in ("scheduling", "failures"))
    queries = [b.text for page in documented for b in page.blocks if b.language == "sql"]
    for query in queries:
        source.do(query.replace("%", "%%"))
    assert len(queries) == 3
