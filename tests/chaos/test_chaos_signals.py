"""Runs that get a signal at a random moment.

The quick tests in tests/test_run_log.py send signals at a chosen moment.
"""

import os
import signal
import subprocess
import sys
import time
from random import Random

import pytest
from api_helpers import free_port
from chaos_helpers import assert_gone, log, start, succeed, successes
from tables import stored

from dbt_project import ROOT

TIMES_EACH = 10


@pytest.fixture
def strike(sway, database_url, cli):
    """Send a signal at a fraction of an undisturbed run's length; assert what holds afterwards."""
    began = time.monotonic()
    succeed(database_url)
    length = time.monotonic() - began
    sway.assert_built()

    def strike(number: int, share: float) -> int:
        before = stored(sway.conn)
        sway.swing()
        process = start(database_url)
        time.sleep(share * length)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=120)
        told = f"exit {process.returncode} after {share:.3f} of {length:.1f} s: {stderr}"
        rows = log(sway.conn, process.pid)
        if number == signal.SIGKILL:
            assert_gone(sway.conn)
            assert cli("runs").exit_code == 0
            rows = log(sway.conn, process.pid)
        statuses = {row["status"] for row in rows}
        assert len(rows) in (0, 3), told
        if process.returncode == 0:
            assert statuses == {"SUCCESS"}, told
        elif number != signal.SIGKILL:
            # While Python imports or exits, no handler is installed.
            began = "init_import_site" not in stderr  # Python itself was starting
            assert process.returncode in (130, -number) or not began, told
            assert statuses <= {"FAILED" if process.returncode == 130 else "SUCCESS"}, told
            assert process.returncode != 130 or "Error: Stopped." in stderr, told
        assert all(row["status"] != "RUNNING" and row["finished_at"] for row in log(sway.conn))
        assert_gone(sway.conn)
        sway.assert_whole(before, successes(rows))
        return process.returncode

    return strike


def seeded(number, seed, strike, times):
    rng = Random(f"{number} {seed}")
    return [strike(number, (nth + rng.random()) / times) for nth in range(times)]


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name
)
def test_a_signal_at_any_moment_leaves_nothing_half_done(number, seed, strike, sway, database_url):
    statuses = seeded(number, seed, strike, TIMES_EACH)
    assert any(statuses), "no run was hit"
    succeed(database_url)
    sway.assert_built()


@pytest.mark.chaos
def test_a_server_that_is_stopped_while_it_starts_ends_at_once(database_url):
    rng, served = Random(0), {"DATABASE_URL": database_url, "DASHBOARD_TOKEN": "token"}
    for _ in range(20):
        command = [sys.executable, ROOT / "cli.py", "serve", "--port", str(free_port())]
        with subprocess.Popen(
            command, env={**os.environ, **served}, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(rng.uniform(0.1, 3))
            process.terminate()
            # Before its handlers are installed, the signal kills it.
            assert process.wait(10) in (0, -signal.SIGTERM)
