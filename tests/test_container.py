"""The image's commands, run on no more than the files that go into it."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import tables
from pathspec import PathSpec

from dbt_project import ROOT

IGNORED = PathSpec.from_lines("gitwildmatch", (ROOT / ".dockerignore").read_text().splitlines())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.fixture
def image(tmp_path):
    """A folder with the files that .dockerignore lets through, of those that git knows."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    for name in IGNORED.match_files(listed.stdout.splitlines(), negate=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.usefixtures("guarded")
def test_the_jobs_run_with_a_password_beside_the_url(source, database_url, image):
    source.event(tables.NOW)
    url = tables.url_of(database_url, user=tables.GUARDED)
    settings = {"DATABASE_URL": url, "PGPASSWORD": tables.PASSWORD, "ROLLUP_HOME": str(image)}
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.M)
    _, *command = json.loads(entrypoint)
    ended = subprocess.run(
        [sys.executable, *command, "--json", "--as-of", str(tables.NOW), "--window-days", "2"],
        cwd=image,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "ok   test " in ended.stderr
    assert [job["rows_written"] for job in json.loads(ended.stdout)["jobs"]] == [13, 0, 10]


def test_the_health_check_asks_the_api(image, live):
    (check,) = re.findall(r'CMD (\["python", "-c".+\])$', DOCKERFILE, re.M)
    for port, status in ((live, 0), (1, 1)):
        code = json.loads(check)[2].replace(":8000/", f":{port}/")
        assert (
            subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode
            == status
        )


@pytest.mark.parametrize(
    "name",
    [".env", ".git/config", "profiles.yml", ".rollup/postgres/PG_VERSION", "target/manifest.json",
     "logs/dbt.log", "api/__pycache__/x.pyc", "tests/conftest.py", "docs/api.md"],
)  # fmt: skip
def test_what_is_secret_or_of_no_use_stays_out(name):
    assert IGNORED.match_file(name)
