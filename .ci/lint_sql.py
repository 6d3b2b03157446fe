"""Check the style of the SQL. sqlfluff lets dbt compile the SQL first, which needs a database."""

import os
import shutil
import subprocess
import sys
import tempfile

import psycopg

from dbt_project import ROOT, embedded, home
from dbt_project.database import dbt_environment
from dbt_project.source import create_source_tables

FOLDERS = ("models", "tests/across", "tests/daily", "tests/experiment", "tests/funnel")

with tempfile.TemporaryDirectory() as folder:
    # The environment's own database and schemas do not matter here.
    os.environ.update(ROLLUP_HOME=folder, SOURCE_SCHEMA="public", ANALYTICS_SCHEMA="analytics")
    profiles = home.profiles()
    shutil.copy(ROOT / "profiles.yml.example", profiles / "profiles.yml")
    with embedded.server() as uri, psycopg.connect(uri, autocommit=True) as conn:
        create_source_tables(conn, "public")
        linted = subprocess.run(
            [sys.executable, "-m", "sqlfluff", "lint", "--disable-progress-bar", *FOLDERS],
            cwd=ROOT,
            env={**os.environ, **dbt_environment(conn), "DBT_PROFILES_DIR": str(profiles)},
        )
sys.exit(linted.returncode)
