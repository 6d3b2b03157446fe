"""The dbt project as people use it who never see the command line."""

from collections import Counter
from datetime import UTC

import psycopg
import pytest
import tables

from dbt_project import demo, runner
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
