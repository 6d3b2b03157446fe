"""The SQL keeps its style. sqlfluff lets dbt compile it first, which wants a database."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import psycopg
import pytest

from dbt_project import ROOT
from dbt_project.database import dbt_environment

KEY = "sqlfluff/passed"
FOLDERS = ("models", "tests/across", "tests/daily", "tests/experiment", "tests/funnel")


@pytest.fixture
def checked(cache) -> Iterator[Callable[[], None]]:
    """Skip what passed before on the same files and versions, as other linters do."""
    seen = hashlib.sha256(f"{sys.version} {metadata.version('sqlfluff')}".encode())
    folders = ("models", "macros", "tests", "seeds")
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*"))
    for path in (path for path in files if path.suffix in (".sql", ".csv", ".yml")):
        seen.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    for name in (".sqlfluff", "dbt_project.yml"):
        seen.update((ROOT / name).read_bytes())
    if cache.get(KEY, "") == seen.hexdigest():
        pytest.skip("these files passed before")
    yield lambda: cache.set(KEY, seen.hexdigest())


def test_the_sql_is_in_its_style(checked, source, database_url, tmp_path):
    (tmp_path / "profiles.yml").write_text((ROOT / "profiles.yml.example").read_text())
    with psycopg.connect(database_url) as conn:
        environment = dbt_environment(conn)
    places = {"DBT_PROFILES_DIR": str(tmp_path), "HOME": str(tmp_path)}
    linted = subprocess.run(
        [Path(sys.executable).parent / "sqlfluff", "lint", "--disable-progress-bar", *FOLDERS],
        cwd=ROOT,
        env={**os.environ, **environment, **places},
        capture_output=True,
        text=True,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
    checked()
