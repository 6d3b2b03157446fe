"""The documentation as one page: built and served, also without any table."""

import os
import signal
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from dbt_project import ROOT


def page():
    return Path(os.environ["DBT_TARGET_PATH"], "site", "index.html")


def test_a_port_in_use_is_reported_before_the_build(cli):
    with socket.create_server(("127.0.0.1", 0)) as other:
        outcome = cli("docs", "--port", other.getsockname()[1])
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "Address already in use. Try --port." in outcome.stderr


def test_the_page_is_served_until_ctrl_c_and_no_table_is_touched(db, cli):
    db.autocommit = True
    schemas = "select array_agg(nspname order by 1) from pg_namespace"
    before = db.execute(schemas).fetchone()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address, answers = f"http://127.0.0.1:{port}/", []

    def read_and_stop():
        until = time.monotonic() + 30
        while not answers and time.monotonic() < until:
            # While the page is built, the server lets clients wait.
            with suppress(OSError), urllib.request.urlopen(address, timeout=30) as answer:
                answers.append((answer.headers["Content-Type"], answer.read()))
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    reader = threading.Thread(target=read_and_stop)
    reader.start()
    outcome = cli("docs", "--port", port)
    reader.join()
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    built, served = outcome.stdout.splitlines()
    assert built.startswith("Built ") and served == f"Serving it on {address} until Ctrl-C."
    assert answers == [("text/html", page().read_bytes())]
    assert [path.name for path in page().parent.iterdir()] == ["index.html"]
    text = page().read_text()
    assert (
        "INLINE DATA" not in text
        and "experiment results, funnels and retention" in text
        and str(ROOT) not in text
    )
    assert db.execute(schemas).fetchone() == before
