"""The command line: what it accepts, prints and returns, and how it fails."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import documents
import psycopg
import pytest
import tables
from tables import GUARDED, NOW, image, stored

from dbt_project import ROOT, our_tables, runner
from dbt_project.database import connect, database_name, dbt_environment
from dbt_project.messages import DatabaseError
from dbt_project.source import create_source_tables
from dbt_project.url import TIMEOUTS, parse_url
from dbt_project.window import JOBS

NOWHERE = "postgresql://nobody:secret@localhost:1/nothing"
TODAY, DAY = datetime.now(UTC).replace(tzinfo=None), timedelta(days=1)


def schemas(conn):
    return {name for (name,) in conn.execute("select nspname from pg_namespace")}


@pytest.mark.parametrize("url", [NOWHERE, None], ids=["unreachable", "embedded"])
def test_a_dry_run_touches_nothing(cli, monkeypatch, tmp_path, url):
    monkeypatch.setenv("ROLLUP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DATABASE_URL")
    if url:
        monkeypatch.setenv("DATABASE_URL", url)
    jobs = ("--job", "funnel", "--job", "daily", "--job", "funnel")
    plan = cli(
        "--dry-run", "--json", "--window-days", 3, "--as-of", "2026-11-23T18:00-06:00", *jobs
    )
    assert plan.exit_code == 0
    assert plan.summary == {
        "jobs": ["daily", "funnel"],
        "as_of": "2026-11-24T00:00:00.000Z",
        "window_start": "2026-11-22T00:00:00.000Z",
        "window_end": "2026-11-25T00:00:00.000Z",
        "selectors": ["daily", "funnel"],
        "target": "default",
    }
    text = cli("--dry-run", "--as-of", "2026-11-23T15:30Z").stdout
    assert re.search(r"^window_start +2026-11-10T00:00:00.000Z$", text, re.M)
    assert re.search(r"^jobs +daily, experiment, funnel, retention$", text, re.M)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        *(([f"--window-days={n}"], "--window-days") for n in (0, -1, 181, "x", "7.5", "")),
        *(
            ([f"--as-of={text}"], "is no ISO 8601 time")
            for text in (
                "yesterday",
                "2026-13-01",
                "2026-11-23T25:00",
                "",
                "1500-01-01",
                "9999-12-31",
            )
        ),
        *(([f"--as-of={day:%Y-%m-%d}"], "is in the future") for day in (TODAY, TODAY + 400 * DAY)),
        (["--from=2026-11-31"], "is no day"),
        (["--to=2026-11-01"], "--to needs --from"),
        (["--from=2026-11-01", "--window-days=14"], "--window-days has no effect on --from"),
        (["--from=2026-11-01", "--as-of=2026-11-02"], "--as-of has no effect on --from"),
        ([f"--from={TODAY + DAY:%Y-%m-%d}"], "days must be from"),
        ([f"--from={TODAY - 180 * DAY:%Y-%m-%d}"], "For older days use --as-of"),
        ([f"--from={TODAY:%Y-%m-%d}", f"--to={TODAY - DAY:%Y-%m-%d}"], "in this order"),
        (["--job", "weekly"], "weekly"),
        (["--job"], "--job"),
        (["weekly"], "weekly"),
        (["runs", "--limit", "0"], "--limit"),
        (["--window-days", "3", "runs"], "--window-days has no effect before runs"),
        (["--json", "load", __file__], "--json has no effect before load"),
        (["--yes"], "--yes answers the question of --allow-purged"),
        (["--dry-run", "--allow-purged"], "--allow-purged has no effect on --dry-run"),
        (["docs", "--build-only", "--port", "9"], "--port has no effect on --build-only"),
        (
            ["serve", "--host", "unix:/tmp/s", "--port", "9"],
            "--port has no effect on a Unix socket",
        ),
    ],
)
def test_bad_usage_is_refused_before_any_sql(cli, monkeypatch, arguments, told):
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    outcome = cli(*arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert told in outcome.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DBT_THREADS", "zero"),
        ("DBT_THREADS", ""),
        ("SOURCE_SCHEMA", " "),
        ("ROLLUP_HOME", f"{__file__}/x"),
        ("DBT_LOG_PATH", "/proc/x"),
        ("DBT_TARGET_PATH", f"{__file__}/x"),
    ],
)
def test_a_bad_setting_is_refused_before_anything_starts(cli, monkeypatch, name, value):
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    monkeypatch.setenv(name, value)
    outcome = cli()
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith(f"Error: {name} ") and outcome.stderr.count("\n") == 1


def test_help_and_version_need_no_database(cli, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    version = re.search(r'__version__ = "(.+)"', (ROOT / "dbt_project/__init__.py").read_text())
    assert version[1] in cli("--version").stdout
    assert "--limit" in cli("runs", "-h").stdout
    told = cli("-h").stdout
    settings = [name for name, *_ in documents.read("README.md").table("Settings")]
    ours = [name for name in settings if not re.match("API|CORS|DASHBOARD|LINK", name)]
    assert re.findall("^ +([A-Z_]+) ", told.partition("Environment")[2], re.M) == ours


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("os.name = 'nt'", "On Windows, run it in WSL."),
        ("sys.version_info = (3, 14, 0)", "needs Python 3.11, 3.12 or 3.13"),
        ("sys.version_info = (3, 10, 9)", "needs Python 3.11, 3.12 or 3.13"),
        ("sys.modules['click'] = None", "click is not installed: run `make setup`"),
        (
            "import dbt_project; dbt_project.ROOT = dbt_project.Path('/')",
            "models are not installed",
        ),
    ],
)
def test_where_the_command_cannot_work_it_says_what_does(change, told):
    code = f"import os, sys; sys.argv = ['cli.py', 'runs']; {change}; import cli; cli.cli()"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stdout == ""
    assert told in ended.stderr and ended.stderr.count("\n") == 1
    ast.parse((ROOT / "cli.py").read_text(), feature_version=(3, 7))  # or it could not say so


def test_make_wants_a_fitting_python_and_replaces_an_unfit_environment(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/ready").touch()
    unfit = tmp_path / ".venv/bin/python"
    unfit.write_text("#!/bin/sh\n[ $1 != --version ] || exec echo Python 3.14.0\nexit 1\n")
    unfit.chmod(0o755)

    def make(*arguments):
        # The suite may itself be run by make.
        alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        command = ["make", *arguments, "setup"]
        return subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True)

    told = (
        "This project needs Python 3.11, 3.12 or 3.13, and .venv/bin/python is Python 3.14.0. Name"
    )
    assert make("PYTHON=.venv/bin/python").stderr.startswith(told)
    assert "is missing." in make("PYTHON=no-such-python").stderr
    plan = make("-n", f"PYTHON={sys.executable}").stdout
    assert "-m venv --clear .venv" in plan and "[dev]" not in plan
    unfit.unlink()
    unfit.symlink_to(sys.executable)
    assert make("-n").stdout == "make: Nothing to be done for 'setup'.\n"
    assert 'requires-python = ">=3.11,<3.14"' in (tmp_path / "pyproject.toml").read_text()


def test_the_summary_in_json(source, run):
    source.events(
        tables.event("2026-11-23 10:00"),
        tables.event("2026-11-23 15:36", user="ahead"),
        tables.event("2026-01-01", user="late", received="2026-11-22"),
    )
    outcome = run("--job", "funnel", "--job", "daily", "--job", "daily", "--window-days", 2)
    assert outcome.exit_code == 0
    assert len(outcome.stdout.splitlines()) == 1
    jobs = outcome.summary.pop("jobs")
    assert outcome.summary == {
        "ok": True,
        "as_of": "2026-11-23T15:30:00.000Z",
        "window_start": "2026-11-22T00:00:00.000Z",
        "window_end": "2026-11-24T00:00:00.000Z",
        "database": database_name(source.conn),
    }
    assert [job["job_name"] for job in jobs] == ["daily", "funnel"]
    for job, rows in zip(jobs, (13, 10), strict=True):
        assert (job["status"], job["errors"], job["rows_written"]) == ("SUCCESS", [], rows)
        assert job["ignored_count"] == 2 and job["seconds"] > 0
        rules = {"in_the_future": 1, "older_than_180_days": 1, "without_a_time": 0}
        assert job["ignored_by_rule"] == rules


def test_the_summary_in_text_comes_last_and_alone_on_stdout(source, cli):
    source.event(datetime.now(UTC).replace(tzinfo=None), "session_submitted")
    outcome = cli()
    assert outcome.exit_code == 0
    first, header, *jobs, empty, last = outcome.stdout.splitlines()
    assert (empty, last) == ("", f"Written to {database_name(source.conn)}.")
    assert re.fullmatch(r"Window \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d \(UTC, end excluded\)", first)
    assert header.split() == ["job", "result", "rows", "written", "seconds", "events", "ignored"]
    found = [line.split()[:2] for line in jobs]
    assert found == [[job, "ok"] for job in JOBS]
    assert "ok   model daily_metric_rollups" in outcome.stderr


def test_an_empty_window_says_where_the_events_are(source, cli):
    days = {
        "2024-01-02": "--as-of 2024-01-11 --window-days 180 reaches the last of them.",
        f"{TODAY - 30 * DAY}": f"--from {TODAY - 179 * DAY:%Y-%m-%d} reaches them.",
        f"{TODAY + 30 * DAY}": "They are in the future: check the clocks.",
    }
    for first, advice in days.items():
        source.do("truncate event_logs")
        source.event(first)
        if first == "2024-01-02":
            source.event("2024-01-03 23:00")
        elif "--from" in advice:
            source.event(TODAY - 300 * DAY)
        outcome = cli("--json", "--job", "daily")
        assert outcome.exit_code == 0
        *_, note = outcome.summary["jobs"][0]["notes"]
        assert note.startswith("The window has no events. The log has some, from") and (
            note.endswith(advice)
        ), note
        if "--as-of" in advice:  # which works, though a newer run has succeeded
            outcome = cli("--json", "--job", "daily", *advice.split()[:4])
            dau = stored(source.conn).daily
            assert outcome.exit_code == 0
            assert dau[date(2024, 1, 2), "dau", "overall"] == (1, None, True)
            assert dau[date(2024, 1, 3), "dau", "overall"] == (1, None, True)


def test_runs_lists_the_latest_first(source, run, cli):
    for empty in (cli("runs"), cli("runs", "--json")):
        assert empty.exit_code == 0
    assert (cli("runs").stdout, cli("runs", "--json").summary) == ("No run yet.\n", [])
    assert "analytics" not in schemas(source.conn)

    run("--job", "funnel")
    run("--job", "daily", "--window-days", 1)
    rows = cli("runs", "--json").summary
    assert [(row["job_name"], row["status"]) for row in rows] == [
        ("daily", "SUCCESS"),
        ("funnel", "SUCCESS"),
    ]
    assert rows[0]["window_start"] == "2026-11-23T00:00:00.000Z"
    assert rows[0]["as_of"] == "2026-11-23T15:30:00.000Z"
    assert (rows[0]["rows_written"], rows[0]["error_text"]) == (6, None)
    assert [row["job_name"] for row in cli("runs", "--json", "--limit", 1).summary] == ["daily"]
    lines = cli("runs").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["daily", "SUCCESS"], ["funnel", "SUCCESS"]]
    query = "select max(started_at) from analytics.rollup_runs"
    (started,) = source.conn.execute(query).fetchone()
    assert f"{started:%Y-%m-%d %H:%M:%S}" in lines[1] and "2026-11-23" in lines[1].split()


@pytest.mark.parametrize("given", ["nothing", "assignments"])
def test_a_missing_event_log_is_named(db, cli, given):
    db.execute(f"create table {given} (id text)")
    db.commit()
    outcome = cli("--json")
    assert outcome.exit_code == 1
    assert outcome.summary["ok"] is False
    assert "The source table event_logs is not in schema public" in outcome.summary["error"]
    assert "The source table event_logs is not in schema public" in outcome.stderr
    assert "analytics" not in schemas(db)


@pytest.mark.parametrize(
    ("command", "changes", "told"),
    [
        ([], {"host": "localhost", "port": "1"}, "Cannot connect to localhost:1: "),
        ([], {"host": "/no/such/folder"}, "Cannot connect to /no/such/folder:"),
        ([], {"sslmode": "never"}, 'invalid sslmode value: "never"'),
        (["runs"], {"dbname": "nothing"}, 'database "nothing" does not exist. Check the names'),
        (["dbt", "debug"], {"user": "nobody"}, "nobody"),
        (["demo"], {"host": "localhost", "port": "1"}, "Cannot connect to localhost:1: "),
    ],
)
def test_a_database_that_cannot_be_reached_is_told(
    cli, database_url, monkeypatch, command, changes, told
):
    url = tables.url_of(database_url, password="secret", **changes)
    monkeypatch.setenv("DATABASE_URL", url)
    outcome = cli(*command)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and told in last
    assert ("Trying again" in outcome.stderr) is told.startswith("Cannot connect to")
    assert "secret" not in outcome.stderr and "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    "url",
    [
        "mysql://app:secret@host/db",
        "app:secret@host/db",
        "host=host password=secret",
        "postgresql://app:secret%zz@host/db",
        "postgresql://app:100%secret@host/db",
        "postgresql://app@host/db?password=secret&passwort=secret",
        "postgresql://app:pass?secret@host/db",
        "postgresql://app:pass#secret@host:port/db",
        "postgresql://app:pass/secret@host/db",
        "postgresql://app:secret/word@host/db",
        "postgresql://app:pass@secret@host.invalid/db",
        "postgresql://app:secret@[host/db",
        "postgresql://app:secret@host:99999/db",
        "postgresql://app:pass?x&secret=word@host/db",
        "postgresql://app@host/db?sslmod=secret",
        "postgresql://app@host/db?passwort=secret",
        '"postgresql://app:secret@host/db',
        "postgresql://app:secret@host/db'",
        "prisma://app:secret@host/?api_key=secret",
    ],
)
def test_an_unreadable_url_is_told_without_the_password(url):
    with pytest.raises(DatabaseError) as refusal:
        connect(parse_url(url))
    message = str(refusal.value)
    assert "DATABASE_URL" in message and "secret" not in message


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        (
            "postgres://app:p%40ss%2Fw%3Ard@host:6543/db?sslmode=require&options=-c%20a.b%3Dc",
            {"user": "app", "password": "p@ss/w:rd", "host": "host", "port": "6543",
             "dbname": "db", "sslmode": "require", "options": "-c a.b=c"},
        ),
        (
            "postgresql://host/db?schema=app&connection_limit=1&pgbouncer=true&pool_timeout=0"
            "&sslmode=prefer&statement_cache_size=0&sslaccept=strict&socket_timeout=3",
            {"host": "host", "dbname": "db", "sslmode": "prefer"},
        ),
        ("postgresql://host/db?schema=app", {"host": "host", "dbname": "db"}),
        ("postgres://host/db?supa=x&uselibpqcompat=true&workaround=y&channel_binding=require",
         {"host": "host", "dbname": "db", "channel_binding": "require"}),
        ("postgresql+asyncpg://u:p@host/db?ssl=verify-full&command_timeout=3",
         {"host": "host", "dbname": "db", "user": "u", "password": "p", "sslmode": "verify-full"}),
        ("jdbc:postgresql://host/db?user=u&password=p&ssl=true&prepareThreshold=0",
         {"host": "host", "dbname": "db", "user": "u", "password": "p", "sslmode": "require"}),
        ("postgres://host/db?ssl=1&sslmode=no-verify",
         {"host": "host", "dbname": "db", "sslmode": "require"}),
        ("postgres://host/db?ssl=0", {"host": "host", "dbname": "db", "sslmode": "disable"}),
        ("postgres://host/db?sslrootcert=system",
         {"host": "host", "dbname": "db", "sslrootcert": "system", "sslmode": "verify-full"}),
        (" 'postgresql://host/db?options=endpoint%3De&&'\r\n",
         {"host": "host", "dbname": "db", "options": "endpoint=e"}),
        ('"postgresql://host/db"', {"host": "host", "dbname": "db"}),
        ("postgresql://host/db?", {"host": "host", "dbname": "db"}),
        ("postgresql:///db?host=/run/pg", {"host": "/run/pg", "dbname": "db"}),
        ("postgresql://u@%2Frun%2Fpg/db", {"host": "/run/pg", "user": "u", "dbname": "db"}),
        ("postgresql://host/db?connect_timeout=3", {"host": "host", "connect_timeout": "3"}),
        ("postgresql://a:1,b:2/db", {"host": "a,b", "port": "1,2", "dbname": "db"}),
    ],
)  # fmt: skip
def test_what_a_url_may_hold(url, parameters):
    found = psycopg.conninfo.conninfo_to_dict(parse_url(url))
    assert found.pop("application_name") == "analytics-rollups"
    found.setdefault("connect_timeout", "10")
    assert parameters.items() <= found.items()
    assert set(found) <= {*parameters, *TIMEOUTS, "dbname"}


def test_a_dropped_parameter_is_named_and_a_blank_url_is_refused(cli, monkeypatch, database_url):
    given = tables.url_of(database_url)
    more = "&" if "?" in given else "?"
    monkeypatch.setenv("DATABASE_URL", f"{given}{more}schema=app&supa=secret&sslmode=prefer")
    told = (
        "Ignoring schema, supa in DATABASE_URL. SOURCE_SCHEMA names the schema of the app's tables."
    )
    assert cli("runs").stderr == f"{told}\n"
    for blank in ("", " \n", "''"):
        monkeypatch.setenv("DATABASE_URL", blank)
        for command in (["runs"], ["--json"], ["serve", "--port", "1"]):
            outcome = cli(*command)
            assert outcome.exit_code == 1 and "DATABASE_URL is blank" in outcome.stderr


def test_the_least_rights_and_an_awkward_password_are_enough(source, guarded, cli, monkeypatch):
    prisma = "schema=public&connection_limit=5&pgbouncer=true&sslmode=prefer"
    monkeypatch.setenv("DATABASE_URL", f"{guarded}{'&' if guarded[-1] != '?' else ''}{prisma}")
    source.event("2026-11-23 10:00")
    outcome = cli("--as-of", NOW)
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    assert all(image(source.conn)[table] for table in tables.ROLLUPS if "experiment" not in table)


def test_a_wrong_password_is_told_and_not_repeated(guarded, cli, monkeypatch):
    url = tables.url_of(guarded, password="secret")
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        pass
    else:
        pytest.skip("this server asks nobody for a password")
    monkeypatch.setenv("DATABASE_URL", url)
    outcome = cli("--json")
    assert outcome.exit_code == 1
    assert "password authentication failed" in outcome.stderr
    assert "Check the user and the password in DATABASE_URL" in outcome.summary["error"]
    assert "secret" not in outcome.stderr + outcome.stdout


@pytest.mark.parametrize(
    ("revoked", "told"),
    [
        ("select on experiments, event_logs", "may not read event_logs, experiments in schema"),
        ("create on schema analytics", "may not create tables in schema analytics"),
    ],
)
def test_a_role_without_the_rights_is_told_what_to_grant(
    source, guarded, cli, monkeypatch, revoked, told
):
    source.do(f"revoke {revoked} from {GUARDED}")
    monkeypatch.setenv("DATABASE_URL", guarded)
    outcome = cli()
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert f"Role {GUARDED} {told}" in outcome.stderr and "Grant it" in outcome.stderr
    query = "select count(*) from pg_class where relnamespace = 'analytics'::regnamespace"
    assert source.conn.execute(query).fetchone() == (0,)


def test_names_that_need_quotes_serve(new_database, cli, monkeypatch):
    url = new_database("2026")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SOURCE_SCHEMA", "The App")
    monkeypatch.setenv("ANALYTICS_SCHEMA", "7 Metrics")
    with tables.connect(url) as conn:
        create_source_tables(conn, "The App")
        outcome = cli("--as-of", NOW)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        assert image(conn, "7 Metrics")["daily_metric_rollups"]


def test_a_model_that_fails_fails_its_job_alone_and_keeps_its_table(source, run, cli):
    source.event("2026-11-22 10:00")
    run()
    before = image(source.conn)
    source.event("2026-11-22 11:00", "workout_started")
    source.do("alter table event_logs rename to raw")
    source.do("""
        create view event_logs as
        select
            id, anonymous_user_id, event_name, occurred_at, received_at, platform, app_version,
            to_jsonb(1 / (length(event_name) - length('workout_started'))) as experiment_map
        from raw
    """)
    outcome = run()
    assert (outcome.exit_code, outcome.summary["ok"]) == (1, False)
    assert outcome.of_jobs("status") == {
        "daily": "SUCCESS",
        "experiment": "SUCCESS",
        "funnel": "FAILED",
        "retention": "SUCCESS",
    }
    after = image(source.conn)
    assert after["funnel_rollups"] == before["funnel_rollups"]
    assert after["daily_metric_rollups"] != before["daily_metric_rollups"]

    (problem,) = outcome.of_jobs("errors")["funnel"]
    assert problem.startswith("model funnel_rollups: error\n") and "division by zero" in problem
    place = re.search(r"^ *SQL: (.+)$", problem, re.M)[1]
    assert "insert" not in Path(place).read_text() and "step_users" in Path(place).read_text()
    logged = cli("runs", "--json", "--limit", len(JOBS)).summary
    errors = {row["job_name"]: (row["status"], row["error_text"]) for row in logged}
    assert errors["funnel"] == ("FAILED", problem)
    assert errors["daily"] == errors["experiment"] == errors["retention"] == ("SUCCESS", None)
    text = cli("--as-of", NOW, "--job", "funnel")
    assert text.exit_code == 1
    assert "FAIL model funnel_rollups" in text.stderr and "division by zero" in text.stdout


def test_a_test_that_fails_fails_its_job(source, run, monkeypatch):
    source.event("2026-11-22 10:00")
    run("--job", "daily")
    source.do("""
        create function spoil() returns trigger language plpgsql as
        $$ begin new.value := -1; return new; end $$
    """)
    source.do("""
        create trigger spoil before insert or update on analytics.daily_metric_rollups
        for each row when (new.metric_name = 'ingestion_lag_p95') execute function spoil()
    """)
    monkeypatch.setattr(our_tables, "check_code", lambda *_: None)  # which refuses triggers
    outcome = run("--job", "daily", "--job", "funnel")
    assert outcome.exit_code == 1
    assert outcome.of_jobs("status") == {"daily": "FAILED", "funnel": "SUCCESS"}
    assert any(problem.startswith("test ") for problem in outcome.of_jobs("errors")["daily"])
    logged = source.conn.execute(
        "select error_text from analytics.rollup_runs where status = 'FAILED'"
    ).fetchall()
    assert logged == [("\n\n".join(outcome.of_jobs("errors")["daily"]),)]


def test_control_characters_reach_neither_the_terminal_nor_the_page(source, cli, tmp_path):
    evil = "\x1b]0;title\x07\r\x9b2J\u202e\u2028"
    source.event(NOW, "workout_started", evil)
    source.do("alter table event_logs rename to raw")
    source.do("""
        create view event_logs as
        select
            id, anonymous_user_id, event_name, occurred_at, received_at, platform, app_version,
            to_jsonb(cast(anonymous_user_id as integer)) as experiment_map
        from raw
    """)
    page = tmp_path / "page.md"
    outcomes = [
        cli("--as-of", NOW, "--job", "funnel", "--summary-file", page),
        cli("runs"),
        cli("init", "--writer", evil),
    ]
    assert [outcome.exit_code for outcome in outcomes] == [1, 0, 1]
    printed = [*(out.stdout + out.stderr for out in outcomes), page.read_text()]
    assert [r"\x1b]0;title\x07" in text for text in printed] == [True, False, True, True]
    for text in printed:
        assert not {letter for letter in evil if not letter.isprintable()} & set(text)


def test_a_statement_timeout_is_told_as_one(source, run, cli, monkeypatch, database_url):
    assert run("--job", "daily").exit_code == 0
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=200ms")
    with psycopg.connect(database_url, options="") as conn:
        conn.execute("lock table analytics.rollup_runs")
        outcome = run("--job", "daily")
    told = "canceling statement due to statement timeout. Raise statement_timeout of the role"
    assert outcome.exit_code == 1 and told in outcome.summary["error"]
    assert outcome.stderr.count("\n") == 1  # nothing was tried again


def test_a_seed_that_fails_fails_its_job(source, run):
    source.do("create schema analytics")
    source.do("create table analytics.funnel_steps (funnel_name text)")
    outcome = run("--job", "funnel", "--job", "experiment")
    assert outcome.exit_code == 1
    assert outcome.of_jobs("status") == {"experiment": "SUCCESS", "funnel": "FAILED"}
    assert outcome.of_jobs("errors")["funnel"][0].startswith("seed funnel_steps: error\n")


def test_a_selection_that_matches_nothing_is_a_failure(source, run, monkeypatch):
    monkeypatch.setattr(runner, "selection", lambda jobs: ("no_such_folder",))
    outcome = run("--job", "daily")
    assert outcome.exit_code == 1
    assert outcome.of_jobs("errors") == {"daily": ["dbt did not build daily_metric_rollups."]}


def test_dbt_that_cannot_begin_is_a_failure_with_its_reason(source, run, monkeypatch):
    monkeypatch.setenv("DBT_USE_COLORS", "perhaps")
    outcome = run("--job", "daily")
    assert outcome.exit_code == 1 and outcome.summary["ok"] is False
    assert "perhaps" in outcome.summary["error"]
    query = "select status, error_text from analytics.rollup_runs"
    ((status, error),) = source.conn.execute(query).fetchall()
    assert status == "FAILED" and outcome.summary["error"] in error


def test_dbt_commands_return_what_dbt_returns(source, cli):
    assert cli("dbt", "ls", "--select", "no_such_model").exit_code == 0
    assert cli("dbt", "--", "no-such-command").exit_code == 1
    listed = cli("dbt", "--", "ls", "--resource-type", "seed", "--output", "name")
    assert (listed.exit_code, listed.stdout.split()[-1]) == (0, "funnel_steps")
    failed = cli("dbt", "run", "--select", "daily", "--vars", "{window_days: 181}")
    assert failed.exit_code == 1 and "window_days must be a whole number" in failed.stdout


def test_without_a_url_the_embedded_database_serves(cli, monkeypatch):
    monkeypatch.delenv("DATABASE_URL")
    outcome = cli("runs")
    assert (outcome.exit_code, outcome.stdout) == (0, "No run yet.\n")
    assert json.loads(cli("runs", "--json").stdout) == []


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("ROLLUP_TIMEZONE", "Berlin", "'Berlin' is no zone of the IANA time zone database"),
        ("KEY_EVENT", "a,,b", "'a,,b' has an empty name"),
        ("ROLLUP_SEEDS", "no_seeds", "there is no funnel/funnel_steps.csv in no_seeds"),
        ("ROLLUP_SEEDS", "models/../../seeds", "is not in this project"),
    ],
)
def test_a_bad_setting_is_refused_before_anything(source, cli, monkeypatch, setting, value, told):
    monkeypatch.setenv(setting, value)
    outcome = cli()
    assert outcome.exit_code == 1 and f"{setting}: " in outcome.stderr and told in outcome.stderr
    assert "analytics" not in schemas(source.conn)


def test_plain_dbt_does_not_write_into_seeds_elsewhere(source, monkeypatch, tmp_path):
    seeds = shutil.copytree(ROOT / "seeds", tmp_path / "seeds")
    before = {path: path.read_bytes() for path in seeds.rglob("*.csv")}
    monkeypatch.setenv("ROLLUP_SEEDS", str(seeds))
    outcome = runner.dbt(["seed", *runner.QUIET], dbt_environment(source.conn))
    assert not outcome.success and "is not in this project" in str(outcome.exception)
    assert before and {path: path.read_bytes() for path in seeds.rglob("*.csv")} == before
