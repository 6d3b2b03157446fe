"""The image's commands, run on no more than the files that go into it."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import tables
import throwaway
import yaml
from commands import end, start
from pathspec import PathSpec

from api import create_app
from api.settings import Settings
from dbt_project import ROOT, schedule
from dbt_project.settings import BadSetting
from dbt_project.source import create_source_tables
from dbt_project.url import parse_url

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
    assert [job["rows_written"] for job in json.loads(ended.stdout)["jobs"]] == [13, 0, 10, 6]


def test_the_health_check_asks_the_api(image, live):
    (check,) = re.findall(r'CMD (\["python", "-c".+\])$', DOCKERFILE, re.M)
    for port, status in ((live, 0), (1, 1)):
        code = json.loads(check)[2].replace(":8000/", f":{port}/")
        assert (
            subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode
            == status
        )


@pytest.fixture
def composed(database_url, maintenance):
    """The database that compose.yaml brings; return the URLs of its services."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    maintenance.execute("select pg_advisory_lock(hashtext('compose'))")
    passwords = {"WRITER_PASSWORD": tables.PASSWORD, "READER_PASSWORD": "other"}
    subprocess.run(
        [throwaway.psql(), "-v", "ON_ERROR_STOP=1", "-d", database_url, "-f", ROOT / "compose.sql"],
        env={**os.environ, **passwords},
        check=True,
    )
    roles = {
        name: psycopg.conninfo.conninfo_to_dict(services[name]["environment"]["DATABASE_URL"])[
            "user"
        ]
        for name in ("rollup", "api")
    }
    yield {name: tables.url_of(database_url, user=role) for name, role in roles.items()}
    with psycopg.connect(database_url, autocommit=True) as conn:
        for role in roles.values():
            conn.execute(f"drop owned by {role} cascade; drop role {role}")
    maintenance.execute("select pg_advisory_unlock(hashtext('compose'))")


def test_the_roles_of_the_compose_file_do_their_work_and_no_more(
    composed, cli, monkeypatch, tmp_path
):
    monkeypatch.setenv("DATABASE_URL", composed["rollup"])
    file = tmp_path / "events.csv"
    file.write_text("user,event,occurred_at\nu,app_opened,2026-11-23T10:00:00Z\n")
    for command in (("load", "--into-app", file), ("--as-of", tables.NOW, "--job", "daily")):
        outcome = cli(*command)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    app = create_app(Settings(parse_url(composed["api"]), token="t"))
    answer = app.test_client().get("/v1/runs", headers={"x-dashboard-token": "t"})
    assert answer.status_code == 200 and answer.text.count('"SUCCESS"') == 1
    app.extensions["database"].close()
    for refused in ("select * from event_logs", "delete from analytics.rollup_runs"):
        with (
            psycopg.connect(composed["api"]) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(refused)


def test_the_schedule_waits_for_events_and_for_the_hour(composed, monkeypatch):
    process = start(composed["rollup"], "schedule")
    assert "has no event_logs in schema public" in process.stderr.readline()
    with psycopg.connect(composed["rollup"]) as conn:
        create_source_tables(conn, "public")
    assert f":{schedule.MINUTE} UTC" in process.stderr.readline()
    process.terminate()
    assert end(process).exit_code == 130


def test_the_schedule_does_not_wait_for_a_bad_setting(composed, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", composed["rollup"])
    monkeypatch.setenv("KEY_EVENT", "a,,b")
    with pytest.raises(BadSetting, match="'a,,b' has an empty name"):
        schedule.forever(())


def test_the_first_run_of_a_day_is_a_full_one(monkeypatch):
    hours = iter(range(48))
    started = datetime(2026, 11, 23, 21, 53, tzinfo=UTC)
    ran = []

    class Clock(datetime):
        @classmethod
        def now(cls, zone):
            return started + len(ran) // 2 * timedelta(hours=1)

    def command(*arguments):
        ran.append(arguments)
        if next(hours) == 11:
            raise KeyboardInterrupt
        return len(ran) < 3  # the first two fail

    monkeypatch.setattr(schedule, "datetime", Clock)
    monkeypatch.setattr(schedule, "_command", command)
    monkeypatch.setattr(schedule, "_wait_for_events", lambda: False)
    monkeypatch.setattr(schedule, "next_slot", lambda now: now)
    with pytest.raises(KeyboardInterrupt):
        schedule.forever(("--notify",))
    assert ran[1::2] == [("check", "--notify")] * 6
    full, short = ((*way, "--notify") for way in (schedule.FULL, schedule.SHORT))
    # At 21:53 it fails, at 22:53 it succeeds; 00:53 is another day.
    assert ran[::2] == [full, full, short, full, short, short]


@pytest.mark.parametrize(
    "name",
    [".env", ".git/config", "profiles.yml", ".rollup/postgres/PG_VERSION", "target/manifest.json",
     "logs/dbt.log", "api/__pycache__/x.pyc", "tests/conftest.py", "docs/api.md"],
)  # fmt: skip
def test_what_is_secret_or_of_no_use_stays_out(name):
    assert IGNORED.match_file(name)


def test_every_data_test_is_in_the_image():
    tests = {str(path.relative_to(ROOT)) for path in ROOT.glob("tests/*/*.sql")}
    assert tests and tests == {*IGNORED.match_files(tests, negate=True)}
