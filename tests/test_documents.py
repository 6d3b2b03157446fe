"""Settings, endpoints, output, places and links in the documents are those of the project."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial

import documents
import pytest
import tables

from api import create_app
from api.settings import Settings
from dbt_project import ROOT, demo

README = documents.read("README.md")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
CODE = ("cli.py", "dbt_project/**/*.py", "api/*.py", "models/**/*.yml", "profiles.yml.example")


def anchors(page):
    """The headings of a page as GitHub names them in URLs."""
    texts = (heading.lower() for heading in documents.read(page).headings)
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    dead = []
    for link in documents.read(page).links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if re.match("[a-z]+:", link):
            assert link.startswith(("https://", "http://127.0.0.1")), link
        elif not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_places_named_in_contributing_exist():
    for what, files, functions in documents.read("CONTRIBUTING.md").table("Where to find it"):
        text = "".join((ROOT / file).read_text() for file in re.findall(r"[\w/]+\.\w+", files))
        for name in re.findall(r"[\w.]+", functions):
            assert re.search(rf"(def|macro|class) {name}\(|^{name} as \(", text, re.M), (what, name)


def test_settings_table_lists_every_variable():
    text = "\n".join(path.read_text() for glob in CODE for path in ROOT.glob(glob))
    read = re.findall(r"""(?:environ(?:\.get)?[(\[]|environ,\s*|env_var\()["']([A-Z_]+)""", text)
    # Those are libpq's, and Java's own.
    ours = {name for name in read if not name.startswith(("PG", "JAVA"))}
    documented = [name for name, *_ in README.table("Settings")]
    assert len(ours) > 10 and sorted(documented) == sorted(ours)


def test_settings_table_has_the_defaults():
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
def test_tables_list_every_endpoint(document, heading):
    rules = {rule.rule for rule in create_app(Settings("host=/nowhere")).url_map.iter_rules()}
    rules = {rule for rule in rules if "<" not in rule}
    paths = {path for row in documents.read(document).table(heading) for path in row[0].split(", ")}
    assert paths - {"/"} == rules - {"/"}


def test_endpoints_that_require_a_token_are_marked():
    client = create_app(Settings("host=/nowhere", token="t", pool_timeout_s=0.1)).test_client()
    for paths, token, _ in README.table("API"):
        for path in paths.split(", "):
            assert (client.get(path).status_code == 401) == (token == "yes"), path


def normalized(line):
    """A line of output without numbers, token and spacing."""
    line = re.sub(r"DASHBOARD_TOKEN=\S+ \S+", "DASHBOARD_TOKEN=t python", line)
    line = re.sub(r"^Written to .+\.$", "Written to …", line)
    line = re.sub(r"[\d,]*\.?\d+\*?", "#", line)
    return " ".join(line.split())


def test_demo_prints_what_the_readme_shows(database_url, cli, monkeypatch):
    monkeypatch.setattr(demo, "fill", partial(demo.fill, users=60, days=20))
    outcome = cli("demo")
    assert outcome.exit_code == 0, outcome.stderr
    assert re.search(rf"^{datetime.now(UTC).date()} ", outcome.stdout, re.M)
    printed = {normalized(line) for line in (outcome.stderr + outcome.stdout).splitlines()}
    shown = next(block.text for block in README.blocks if "$ make demo" in block.text).splitlines()
    assert shown[:2] == ["$ make demo", ".venv/bin/python cli.py demo"]
    assert len(shown) > 20
    for line in shown[2:]:
        assert line == "…" or normalized(line) in printed, line
    again = cli("demo")
    assert again.exit_code == 0
    assert "The made-up app was there already, with " in again.stdout


def test_sql_for_operators_and_recipes_runs(source, run):
    source.experiment()
    source.event(tables.NOW)
    source.event(tables.NOW - timedelta(days=10))
    assert run("--window-days", 14).exit_code == 0
    source.do("set search_path to public, analytics")
    names = ("scheduling", "failures", "recipes")
    documented = (documents.read(f"docs/{name}.md") for name in names)
    queries = [b.text for page in documented for b in page.blocks if b.language == "sql"]
    for query in queries:
        source.do(query.replace("%", "%%"))
    assert len(queries) == 5
    # As Grafana fills its macros.
    window = f"'{tables.NOW - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}' and '{tables.NOW:%FT%TZ}'"
    for panel in json.loads((ROOT / "docs/grafana.json").read_text())["panels"]:
        (target,) = panel["targets"]
        query = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 between {window}", target["rawSql"])
        found = source.conn.execute(query.replace("${funnel:sqlstring}", "'core_journey'"))
        columns = [column.name for column in found.description]
        lines = panel["type"] == "timeseries"
        assert (target["format"] == "time_series") == lines == (columns[0] == "time")
        assert found.fetchall(), panel["title"]


def test_the_views_of_another_apps_log_serve(db, run, monkeypatch):
    for block in documents.read("docs/your-tables.md").under("Views of your own log", "sql"):
        db.execute(block.encode())
    ts = tables.NOW.replace(tzinfo=UTC).timestamp() * 1000
    db.execute("insert into clicks values (1, 7, 'order', %s, 'web')", [int(ts)])
    db.commit()
    monkeypatch.setenv("SOURCE_SCHEMA", "rollup_source")
    monkeypatch.setenv("KEY_EVENT", "order")
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    query = "select metric_name, value from analytics.daily_metric_rollups where day = %s"
    found = dict(db.execute(query, [tables.TODAY]).fetchall())
    assert found["sessions_submitted"] == found["logging_rate_24h"] == 1
    assert found["ingestion_lag_p95"] == 0
