"""A server that crashes and restarts, or becomes unreachable without a word."""

import os
import shutil
import subprocess
import time
from contextlib import closing
from random import Random

import pytest
import tables
from chaos_helpers import Sway, blocked, log, start, succeed
from commands import wait_until
from own_server import OwnServer

from dbt_project.source import create_source_tables

pytestmark = pytest.mark.chaos
LENGTH_S = 3.0
TIMES = 5


@pytest.fixture(scope="module")
def own_server():
    server = OwnServer()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def full_server(own_server):
    """With the app's tables and their events in it."""
    with closing(tables.connect(own_server.url())) as conn:
        create_source_tables(conn, "public")
        return own_server, Sway(tables.App(conn))


@pytest.fixture
def app(full_server):
    """The server, its app, and a function that opens a new connection."""
    server, sway = full_server

    def connected():
        conn = tables.connect(server.url())
        sway.conn = sway.source.conn = conn
        return closing(conn)

    return server, sway, connected


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("away_s", [0, 4])
def test_a_crash_at_any_moment(away_s, seed, app):
    server, sway, connected = app
    rng = Random(f"crash {away_s} {seed}")
    for nth in range(TIMES):
        with connected():
            sway.swing()
        process = start(server.url())
        time.sleep((nth + rng.random()) / TIMES * LENGTH_S)
        server.stop()
        time.sleep(away_s)
        server.start()
        stdout, stderr = process.communicate(timeout=240)
        assert process.returncode == 0, stdout + stderr
        with connected() as conn:
            sway.assert_built()
            assert {row["status"] for row in log(conn)} <= {"SUCCESS", "FAILED"}


def test_a_server_that_stays_away_ends_the_run(app):
    server, sway, connected = app
    succeed(server.url())
    with connected():
        before = tables.stored(sway.conn)
        sway.swing()
    process = start(server.url())
    time.sleep(LENGTH_S / 2)
    server.stop()
    _, stderr = process.communicate(timeout=240)
    server.start()
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("Error: Cannot connect to 127.0.0.1"), stderr
    with connected():
        sway.assert_whole(before, set())
    succeed(server.url())
    with connected() as conn:
        sway.assert_built()
        assert {row["status"] for row in log(conn, process.pid)} <= {"FAILED"}


@pytest.fixture
def wire():
    """A network namespace behind a veth pair, whose near end can be switched off."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("only root can lay a virtual wire, with iproute2")
    name, block = f"ch{os.getpid()}", f"10.213.{os.getpid() % 250}"

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, timeout=60)

    ip("netns", "add", name)
    ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
    ip("addr", "add", f"{block}.1/24", "dev", f"{name}a")
    ip("link", "set", f"{name}a", "up")
    ip("-n", name, "addr", "add", f"{block}.2/24", "dev", f"{name}b")
    ip("-n", name, "link", "set", f"{name}b", "up")
    yield name, f"{block}.1", lambda state: ip("link", "set", f"{name}a", state)
    ip("link", "del", f"{name}a")
    ip("netns", "del", name)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_dead_network_hangs_no_run(comes_back, app, wire):
    server, sway, connected = app
    name, host, switch = wire
    with connected():
        sway.swing()
        before = tables.stored(sway.conn)
        with blocked(sway.conn, server.url()) as waiting:
            process = start(server.url(host), prefix=("ip", "netns", "exec", name))
            wait_until(lambda: process.poll() or waiting())
            switch("down")
            assert process.poll() is None
        if comes_back:
            wait_until(lambda: "again in" in process.stderr.readline(), 120)
            switch("up")
        # No packet says that the server is gone: the process must time out by itself.
        stdout, stderr = process.communicate(timeout=300)
    with connected() as conn:
        assert process.returncode == (0 if comes_back else 1), stdout + stderr
        if comes_back:
            sway.assert_built()
        else:
            switch("up")
            sway.assert_whole(before, set())
            succeed(server.url())
        sway.assert_built()
        assert {row["status"] for row in log(conn)} <= {"SUCCESS", "FAILED"}
        wait_until(lambda: not conn.execute("select 1 from pg_locks where locktype = 'advisory'")
                   .fetchall(), 60)  # fmt: skip
