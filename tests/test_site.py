"""The documentation as one page: built on whatever the database holds, and served."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from dbt_project import ROOT


def page():
    return Path(os.environ["DBT_TARGET_PATH"], "site", "index.html")


def test_the_page_is_built_without_tables_and_touches_nothing(db, cli):
    db.autocommit = True
    before = db.execute("select array_agg(nspname order by 1) from pg_namespace").fetchone()
    outcome = cli("docs", "--build-only")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == f"Built {os.path.relpath(page())}.\n"
    assert [path.name for path in page().parent.iterdir()] == ["index.html"]
    text = page().read_text()
    assert "INLINE DATA" not in text
    assert "who came, who is new" in text and str(ROOT) not in text
    assert db.execute("select array_agg(nspname order by 1) from pg_namespace").fetchone() == before


def test_a_port_that_is_taken_is_told_before_anything_is_built(cli):
    with socket.create_server(("127.0.0.1", 0)) as other:
        outcome = cli("docs", "--port", other.getsockname()[1])
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "cannot be had: Address already in use. Try --port." in outcome.stderr


def test_the_page_is_served_until_ctrl_c(database_url):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "cli.py"), "docs", "--port", str(port)]
    environment = {**os.environ, "DATABASE_URL": database_url}
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout.readline().startswith("Built ")
            address = f"http://127.0.0.1:{port}/"
            assert process.stdout.readline() == f"Serving it on {address} until Ctrl-C.\n"
            with urllib.request.urlopen(address) as answer:
                assert answer.headers["Content-Type"] == "text/html"
                assert answer.read() == page().read_bytes()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.stderr.read() == ""
