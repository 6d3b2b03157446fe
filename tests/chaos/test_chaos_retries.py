"""Which failures are retried, and how often."""

import pytest
from chaos_helpers import log
from psycopg import errors

from dbt_project import retry, runner
from dbt_project.retry import is_transient

CONNECTING = 'psycopg2.OperationalError: connection to server at "db", port 5432 failed: '


@pytest.mark.parametrize(
    ("trace", "passes"),
    [
        ("psycopg2.errors.AdminShutdown: terminating connection", True),
        ("psycopg2.errors.DeadlockDetected: deadlock detected", True),
        ("psycopg.errors.TooManyConnections: sorry", True),
        ("psycopg2.OperationalError: server closed the connection unexpectedly\n\tThis", True),
        ("psycopg2.OperationalError: SSL SYSCALL error: EOF detected", True),
        ("psycopg2.InterfaceError: connection already closed", True),
        (f"{CONNECTING}Connection refused\n\tIs the server running on that host?", True),
        (f"{CONNECTING}FATAL:  the database system is starting up", True),
        (f"{CONNECTING}FATAL:  sorry, too many clients already", True),
        (f'{CONNECTING}FATAL:  password authentication failed for user "app"', False),
        (f'{CONNECTING}FATAL:  database "nothing" does not exist', False),
        (f"{CONNECTING}Connection refused\n{CONNECTING}FATAL:  no pg_hba.conf entry", False),
        ('psycopg2.OperationalError: could not translate host name "x": unknown', False),
        ("psycopg2.errors.QueryCanceled: canceling statement due to statement timeout", False),
        ("psycopg2.errors.LockNotAvailable: canceling statement due to lock timeout", False),
        ("psycopg2.errors.DiskFull: could not extend file: No space left on device", False),
        ("psycopg2.errors.UndefinedTable: relation does not exist", False),
        ("psycopg2.errors.SyntaxError: the connection is closed", False),
        ("ValueError: the connection is closed", False),
        ("", False),
    ],
)
def test_which_failures_are_transient(trace, passes):
    assert is_transient(f"Traceback (most recent call last):\n{trace}\n") is passes


@pytest.fixture
def failing(monkeypatch):
    """Let dbt fail a number of times before it works."""

    def fail(times, error):
        def build(runs, *arguments, real=runner.build, **options):
            calls.append([run.job_name for run in runs])
            if len(calls) <= times:
                raise error
            real(runs, *arguments, **options)

        calls = []
        monkeypatch.setattr(runner, "build", build)
        return calls

    return fail


@pytest.mark.parametrize(
    ("error", "times", "attempts"),
    [
        (errors.AdminShutdown, len(retry.WAITS_S), len(retry.WAITS_S) + 1),
        (errors.AdminShutdown, 99, len(retry.WAITS_S) + 1),
        (errors.UndefinedTable, 99, 1),
    ],
)
def test_transient_failures_are_retried_so_often(failing, sway, run, error, times, attempts):
    calls = failing(times, error("going down."))
    outcome = run("--job", "daily")
    recovers = times < attempts
    assert outcome.exit_code == (0 if recovers else 1), outcome.stderr
    assert recovers or outcome.summary["error"] == "going down."
    assert len(calls) == attempts
    assert outcome.stderr.count("going down. Trying daily again in ") == attempts - 1
    last = "SUCCESS" if recovers else "FAILED"
    assert [row["status"] for row in log(sway.conn)] == ["FAILED"] * (attempts - 1) + [last]
