"""Connections that the server terminates or the network cuts during a run."""

import time
from collections import Counter
from random import Random

import pytest
from chaos_helpers import (
    assert_gone,
    blocked,
    lock_holder,
    log,
    others,
    start,
    succeed,
    terminate,
)
from commands import wait_until
from proxy import Proxy
from tables import stored

from dbt_project.window import JOBS

pytestmark = pytest.mark.chaos
TIMES_EACH = 6
LENGTH_S = 3.0  # about how long a run takes


def assert_recovered(sway, process):
    """The run succeeded, and each attempt has its own row in the log."""
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stdout + stderr
    rows = log(sway.conn, process.pid)
    last = {row["job_name"]: row["status"] for row in rows}
    assert last == dict.fromkeys(JOBS, "SUCCESS"), rows
    counts = Counter(row["status"] for row in log(sway.conn))
    assert counts["RUNNING"] == 0, counts
    assert all(row["error_text"] for row in rows if row["status"] == "FAILED")
    assert "Error" not in stderr.splitlines()[-1]
    sway.assert_built()
    assert_gone(sway.conn)
    return len(rows) - len(JOBS), stderr


def test_a_model_whose_backend_is_terminated_is_retried(sway, database_url):
    with blocked(sway.conn, database_url) as waiting:
        process = start(database_url)
        (*_, victim) = wait_until(lambda: process.poll() or waiting())
        terminate(sway.conn, [victim])
    extra, stderr = assert_recovered(sway, process)
    assert extra == 1
    assert stderr.count(" again in 1 s.") == 1
    failed = [row for row in log(sway.conn) if row["status"] == "FAILED"]
    assert [f"Trying {row['job_name']} again" in stderr for row in failed] == [True]


def test_a_run_whose_lock_backend_is_terminated_goes_on(sway, database_url):
    with blocked(sway.conn, database_url) as waiting:
        process = start(database_url)
        wait_until(lambda: process.poll() or waiting())
        assert terminate(sway.conn, lock_holder(sway.conn)) == 1
    extra, _ = assert_recovered(sway, process)
    assert extra == 0


def test_a_run_whose_lock_is_taken_over_says_so_and_does_no_harm(sway, database_url):
    with blocked(sway.conn, database_url) as waiting:
        first = start(database_url)
        wait_until(lambda: first.poll() or len(waiting()) >= 2)
        assert terminate(sway.conn, lock_holder(sway.conn)) == 1
        before = len(waiting())
        second = start(database_url)
        wait_until(lambda: second.poll() or len(waiting()) > before)
    _, told = first.communicate(timeout=120)
    assert first.returncode == 1 and "another run took over" in told, told
    assert {row["status"] for row in log(sway.conn, first.pid)} == {"FAILED"}
    assert_recovered(sway, second)


@pytest.fixture
def proxy(database_url):
    proxy = Proxy(database_url)
    yield proxy
    proxy.unplug()


@pytest.fixture
def disturbed(sway, database_url):
    """Start a run, do something at a random moment of it, and return the run."""

    def disturb(rng, nth, deed, url=database_url):
        sway.swing()
        process = start(url)
        time.sleep((nth + rng.random()) / TIMES_EACH * LENGTH_S)
        deed()
        return process

    return disturb


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("all_of_them", [False, True], ids=["one", "all"])
def test_backends_terminated_at_any_moment(all_of_them, seed, disturbed, sway, database_url):
    succeed(database_url)
    rng = Random(f"backends {all_of_them} {seed}")

    def end():
        pids = others(sway.conn)
        terminate(sway.conn, pids if all_of_them else rng.sample(pids, min(1, len(pids))))

    for nth in range(TIMES_EACH):
        assert_recovered(sway, disturbed(rng, nth, end))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("silence_s", [0, 1, 3], ids=["cut", "choked", "unplugged"])
def test_a_network_cut_at_any_moment(silence_s, seed, disturbed, proxy, sway, database_url):
    rng = Random(f"cut {silence_s} {seed}")
    succeed(proxy.url_of(database_url))

    def cut():
        if silence_s == 1:
            proxy.choke()
            time.sleep(silence_s)
            proxy.cut()
            proxy.flow()
        elif silence_s:
            proxy.unplug()
            time.sleep(silence_s)
            proxy.plug()
        else:
            proxy.cut()

    for nth in range(TIMES_EACH):
        assert_recovered(sway, disturbed(rng, nth, cut, proxy.url_of(database_url)))


def test_a_network_that_stays_away_ends_the_run(sway, proxy, database_url, cli):
    url = proxy.url_of(database_url)
    succeed(url)
    before = stored(sway.conn)
    sway.swing()
    with blocked(sway.conn, database_url) as waiting:
        process = start(url)
        wait_until(lambda: process.poll() or waiting())
        proxy.unplug()
        _, told = process.communicate(timeout=240)
        assert process.returncode == 1
        assert told.splitlines()[-1].startswith("Error: Cannot connect to 127.0.0.1")
        assert told.count("Cannot connect") > 1
    assert_gone(sway.conn)
    assert stored(sway.conn) == before
    assert cli("runs").exit_code == 0
    assert {row["status"] for row in log(sway.conn, process.pid)} == {"FAILED"}
