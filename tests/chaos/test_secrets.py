"""The database's password and the dashboard's token appear in no output, file or process list."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest
import tables
from api_helpers import ask, free_port, serving
from tables import CANARY, GUARDED, NOW, PASSWORD

from dbt_project import ROOT

TOKEN = "t0ken-c4nary"  # so that one search finds both
ENCODED = quote(PASSWORD, safe="")

# What a URL may have wrong, with the password in it.
BAD_URLS = {
    "closed port": f"postgresql://app:{ENCODED}@localhost:1/db",
    "unknown host": f"postgresql://app:{ENCODED}@host.invalid/db",
    "port out of range": f"postgresql://app:{ENCODED}@localhost:99999/db",
    "port in words": f"postgresql://app:{ENCODED}@localhost:port/db",
    "no such socket": f"postgresql://app:{ENCODED}@%2Fno%2Fsuch/db",
    "bad sslmode": f"postgresql://app:{ENCODED}@localhost:1/db?sslmode=never",
    "no root certificate": f"postgresql://app:{ENCODED}@localhost:1/db?sslmode=verify-full",
    "bad option": f"postgresql://app:{ENCODED}@localhost:1/db?sslnonsense=1",
    "bad timeout": f"postgresql://app:{ENCODED}@localhost:1/db?connect_timeout=x",
    "bad target": f"postgresql://app:{ENCODED}@localhost:1/db?target_session_attrs=x",
    "hosts and ports": f"postgresql://app:{ENCODED}@a.invalid:1,b.invalid:2/db?port=1,2,3",
    "in the query": f"postgresql://localhost:1/db?user=app&password={ENCODED}",
    "in the query, twice": f"postgresql://localhost:1/db?password={ENCODED}&password=x&password",
    "in the query, misspelt": f"postgresql://localhost:1/db?passwort={CANARY}",
    "a half escape": f"postgresql://app:{CANARY}%4@localhost:1/db",
    "a bad escape": f"postgresql://app:{CANARY}%zz@localhost:1/db",
    "an escaped NUL": f"postgresql://app:{CANARY}%00@localhost:1/db",
    "a bare at": f"postgresql://app:x@{CANARY}@localhost:1/db",
    "a bare slash": f"postgresql://app:x/{CANARY}@localhost:1/db",
    "a bare slash behind": f"postgresql://app:{CANARY}/x@localhost:1/db",
    "a bare question mark": f"postgresql://app:x?{CANARY}@localhost:1/db",
    "a bare question mark behind": f"postgresql://app:{CANARY}?x@localhost:1/db",
    "a bare hash": f"postgresql://app:x#{CANARY}@localhost:1/db",
    "a bare hash behind": f"postgresql://app:{CANARY}#x@localhost:1/db",
    "a bare ampersand": f"postgresql://app:x?y&{CANARY}=z@localhost:1/db",
    "a bare bracket": f"postgresql://app:[{CANARY}@localhost:1/db",
    "a bare colon": f"postgresql://app:1:{CANARY}@localhost:1/db",
    "digits before a slash": f"postgresql://app:12/{CANARY}@localhost:1/db",
    "a bare space": f"postgresql://app:x {CANARY}@localhost:1/db",
    "a line end": f"postgresql://app:{CANARY}\n@localhost:1/db",
    "raw, all of it": f"postgresql://app:{PASSWORD}@localhost:1/db",
    "no at": f"postgresql://app:{CANARY}",
    "no host": f"postgresql://app:{ENCODED}@:1/db",
    "no user": f"postgresql://:{ENCODED}@localhost:1/db",
    "password as user": f"postgresql://{CANARY}@localhost:1/db?sslmode=never",
    "another system": f"mysql://app:{ENCODED}@localhost/db",
    "no scheme": f"app:{ENCODED}@localhost/db",
    "a conninfo": f"host=localhost port=1 password={CANARY}",
    "quoted": f'"postgresql://app:{ENCODED}@localhost:1/db"',
    "with its name": f"DATABASE_URL=postgresql://app:{ENCODED}@localhost:1/db",
    "prisma's": f"prisma://localhost/?api_key={CANARY}",
}
COMMANDS = [
    ("--json",),
    ("--job", "daily"),
    ("runs",),
    ("runs", "--json"),
    ("init",),
    ("init", "--dry-run"),
    ("demo",),
    ("load", __file__),
    ("dbt", "--", "debug"),
]


def test_no_command_prints_the_password_of_a_bad_url(cli, monkeypatch):
    for nth, (wrong, url) in enumerate(BAD_URLS.items()):
        monkeypatch.setenv("DATABASE_URL", url)
        # All commands get an unreadable URL, an option that libpq refuses, and a missing server.
        is_of_a_kind = wrong in ("closed port", "bad sslmode", "a half escape", "a bare at")
        for command in COMMANDS if is_of_a_kind else (COMMANDS[nth % len(COMMANDS)],):
            outcome = cli(*command)
            assert outcome.exit_code == 1, (wrong, command)
            told = outcome.stdout + outcome.stderr
            # Retries may be reported above it.
            assert re.search("^Error: ", told, re.MULTILINE), (wrong, command)
            assert CANARY not in told and "Traceback" not in told, (wrong, command)


def test_no_command_prints_a_password_of_the_environment(cli, monkeypatch, database_url):
    # libpq takes it where the URL has none.
    for name, text in (("PGPASSWORD", PASSWORD), ("PGPASSFILE", f"/no/{CANARY}")):
        monkeypatch.setenv(name, text)
    for url in ("postgresql://app@localhost:1/db", database_url):
        monkeypatch.setenv("DATABASE_URL", url)
        for command in COMMANDS[:4]:
            outcome = cli(*command)
            assert CANARY not in outcome.stdout + outcome.stderr


@pytest.fixture
def command(guarded, tmp_path):
    """Run the command line as a process, with its files in `tmp_path`, and watch its output."""

    def run(*arguments: str, umask: int = 0o022, status: int = 0, **changes: str) -> str:
        environment = os.environ | {
            "DATABASE_URL": guarded,
            "DASHBOARD_TOKEN": TOKEN,
            "ROLLUP_HOME": str(tmp_path / "home"),
            "DBT_TARGET_PATH": str(tmp_path / "target"),
            "DBT_LOG_PATH": str(tmp_path / "logs"),
            "DBT_WRITE_JSON": "true",
            **changes,
        }
        line = [sys.executable, str(ROOT / "cli.py"), *arguments]
        output = tmp_path / "output"
        with output.open("ab") as file, subprocess.Popen(
            line, env=environment, stdout=file, stderr=subprocess.STDOUT, umask=umask
        ) as process:  # fmt: skip
            while process.poll() is None:
                assert CANARY not in str(command_lines(process.pid))
                time.sleep(0.05)
        assert process.returncode == status, output.read_text()[-2000:]
        return output.read_text()

    yield run
    assert not leaks(tmp_path)


def command_lines(pid: int) -> list[list[str]]:
    try:
        process = psutil.Process(pid)
        return [one.cmdline() for one in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def leaks(folder: Path) -> list[Path]:
    """The files below a folder that contain the password or the token, in any encoding."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.chaos
def test_a_run_leaves_only_private_files_without_secrets(command, source, tmp_path):
    source.event("2026-11-23 10:00")
    command("--json", "--as-of", f"{NOW}", "--job", "funnel", umask=0)
    made = set(tmp_path.rglob("*")) - {tmp_path / "output"}
    assert {"profiles.yml", "dbt.log", "manifest.json"} <= {path.name for path in made}
    modes = {str(path): path.stat().st_mode & 0o777 for path in made}
    assert not {path: oct(mode) for path, mode in modes.items() if mode & 0o077}
    profile = (tmp_path / "home/profiles/profiles.yml").read_text()
    assert "env_var('PGPASSWORD'" in profile


@pytest.mark.chaos
def test_no_command_leaks_on_success_or_failure(command, source, tmp_path):
    source.event("2026-11-23 10:00")
    source.do(f"grant create on database {source.conn.info.dbname} to {GUARDED}")
    command("--json", "--as-of", f"{NOW}")
    command("--as-of", f"{NOW}", "--job", "daily")
    command("runs")
    command("runs", "--json")
    command("demo", status=1)
    command("load", "--into-app", str(ROOT / "README.md"), status=1)
    assert "password" not in command("dbt", "--", "debug")
    command("dbt", "--", "--debug", "--log-level-file", "debug", "debug", "--connection")
    command("dbt", "--", "--debug", "build", "--select", "daily")
    command("dbt", "--", "run", "--select", "daily", "--vars", "{window_days: 999}", status=1)
    command("dbt", "--", "compile", "--inline", "{{ target }} {{ profile }} {{ env_var('X', '') }}")
    command("dbt", "--", "show", "--inline", "select 1 / 0", status=1)
    command("dbt", "--", "no-such-command", status=1)
    # The database fails under it, with and without a log of its own.
    source.do("alter table event_logs rename column occurred_at to moved")
    for more in ((), ("--json",)):
        command("--as-of", f"{NOW}", *more, status=1)
    command("dbt", "--", "--debug", "--log-format", "json", "build", status=1)
    source.do(f"alter role {GUARDED} connection limit 0")
    for wrong in (("--json",), ("runs",), ("dbt", "--", "debug")):
        command(*wrong, status=1)
    source.do(f"alter role {GUARDED} connection limit 2")  # enough for us, too few for dbt
    command("--json", "--as-of", f"{NOW}", status=1)
    told = source.conn.execute("select row(run.*)::text from analytics.rollup_runs as run")
    texts = [text for (text,) in told]
    assert any("FAILED" in text for text in texts) and CANARY not in str(texts)


@pytest.mark.chaos
def test_a_wrong_password_is_not_printed(command, guarded, source, tmp_path):
    wrong = tables.url_of(guarded, password=f"wrong-{CANARY}")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(wrong)
    for arguments in COMMANDS[:7]:
        told = command(*arguments, status=1, DATABASE_URL=wrong)
        assert "password authentication failed" in told
    # Plain dbt, which takes it from the variable.
    (tmp_path / "profiles.yml").write_text((ROOT / "profiles.yml.example").read_text())
    given = psycopg.conninfo.conninfo_to_dict(wrong)
    names = {"PGHOST": "host", "PGUSER": "user", "PGDATABASE": "dbname", "PGPASSWORD": "password"}
    environment = {name: str(given[key]) for name, key in names.items()}
    for arguments in (("debug",), ("--debug", "run", "--select", "daily")):
        outcome = subprocess.run(
            [
                Path(sys.executable).with_name("dbt"),
                *arguments,
                "--profiles-dir",
                tmp_path,
            ],
            env=os.environ | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert outcome.returncode and "password authentication failed" in outcome.stdout
        assert CANARY not in outcome.stdout + outcome.stderr


@pytest.mark.chaos
@pytest.mark.parametrize("what", ["right", "wrong password", "closed port", "bad option", "raw"])
def test_the_server_leaks_neither(guarded, what):
    url = {
        "right": guarded,
        "wrong password": tables.url_of(guarded, password=f"wrong-{CANARY}"),
        "closed port": BAD_URLS["closed port"],
        "bad option": BAD_URLS["bad option"],
        "raw": BAD_URLS["raw, all of it"],
    }[what]
    if what in ("bad option", "raw"):
        line = [sys.executable, str(ROOT / "cli.py"), "serve", "--port", str(free_port())]
        environment = os.environ | {"DATABASE_URL": url, "DASHBOARD_TOKEN": TOKEN}
        outcome = subprocess.run(line, env=environment, capture_output=True, text=True)
        assert outcome.returncode == 1 and outcome.stderr.startswith("Error: DATABASE_URL")
        assert CANARY not in outcome.stdout + outcome.stderr
        return
    with serving(DATABASE_URL=url, DASHBOARD_TOKEN=TOKEN) as (process, port, log):
        for path in ("/ready", "/v1/runs", "/v1/metrics/daily", "/v1/metrics/summary", f"/{TOKEN}"):
            status, headers, body = ask(port, path, token=TOKEN, User_Agent=TOKEN)
            assert status in ((200, 404) if what == "right" else (404, 503))
            assert CANARY not in str(headers) + body.decode()
        ask(port, f"/v1/metrics/funnels?funnel_name={TOKEN}&token={TOKEN}", token=None)
        assert CANARY not in str(command_lines(process.pid))
    assert CANARY not in log.read_text()
