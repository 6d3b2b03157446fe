"""Names of schemas that would break out of the quotes that dbt puts around them."""

import pytest
from tables import NOW

from dbt_project.database import analytics_schema

BAD = ["it's", 'say "hi"', "100%", "a%sb", "back\\slash", "{{ 1/0 }}", "a\nb", "n" * 64, "é" * 32]


@pytest.mark.parametrize("variable", ["ANALYTICS_SCHEMA", "SOURCE_SCHEMA"])
@pytest.mark.parametrize(
    "name", [*BAD[:3], *(pytest.param(name, marks=pytest.mark.chaos) for name in BAD[3:])]
)
def test_a_name_that_dbt_cannot_quote_is_refused_first(
    source, run, cli, monkeypatch, variable, name
):
    monkeypatch.setenv(variable, name)
    query = "select oid from pg_namespace union all select oid from pg_class order by 1"
    before = source.conn.execute(query).fetchall()
    commands = [("--json", "--as-of", NOW), ("dbt", "--", "parse"), ("demo",), ("init",)]
    commands += [("runs",), *([("serve",)] if variable == "ANALYTICS_SCHEMA" else [])]
    for arguments in commands:
        outcome = cli(*arguments)
        assert outcome.exit_code == 1, arguments
        assert f"Error: {variable} names a schema that dbt cannot use" in outcome.stderr
        assert len(outcome.stderr.splitlines()) == 1
    assert source.conn.execute(query).fetchall() == before


@pytest.mark.parametrize("name", ["a-b", "Ünï cødé", "select", "7", "a.b", "a;b", "$1", "n" * 63])
def test_other_names_work(monkeypatch, name):
    monkeypatch.setenv("ANALYTICS_SCHEMA", name)
    assert analytics_schema() == name


@pytest.mark.chaos
@pytest.mark.parametrize("name", ["a-b", "Ünï cødé", "select", "a.b", "a;b", "$1", "n" * 63])
def test_a_run_works_with_other_names(source, run, cli, monkeypatch, name):
    source.event(NOW)
    monkeypatch.setenv("ANALYTICS_SCHEMA", name)
    assert run().summary["ok"]
    assert run().summary["ok"]
    assert len(cli("runs", "--json").summary) == 6
