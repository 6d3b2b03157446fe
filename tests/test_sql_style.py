"""The SQL keeps its style. sqlfluff lets dbt compile it first, which wants a database."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from dbt_project import ROOT
from dbt_project.database import dbt_environment

FOLDERS = ("models", "tests/across", "tests/daily", "tests/experiment", "tests/funnel")


def test_the_sql_is_in_its_style(source, database_url, tmp_path):
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
