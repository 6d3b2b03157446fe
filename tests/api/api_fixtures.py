"""Databases filled by a real run, and the API on them, in this process or served.

A plugin, because tests outside of this folder use them too.
"""

import os
from pathlib import Path

import psycopg
import pytest
from api_helpers import NOW, TOKEN, fetch, serving
from tables import url_of

from api import create_app
from api.settings import Settings
from dbt_project.source import create_source_tables

AS_OF = "2026-11-23T15:30:00Z"
HANDFUL = Path(__file__).with_name("handful.pgsql")


@pytest.fixture(scope="session", autouse=True)
def api_settings(_settings):
    """Keep the caller's settings out of the API, as `_settings` does for the commands."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("API_") or name in ("DASHBOARD_TOKEN", "LINK_TOKEN", "CORS_ORIGINS"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def api_template(lasting_database, run_on):
    """The name of a database where every job ran on the events of `handful.pgsql`."""
    conninfo = lasting_database()
    with psycopg.connect(conninfo) as conn:
        create_source_tables(conn, "public")
        conn.execute(HANDFUL.read_text())
        name = conn.info.dbname
    run_on(url_of(conninfo), "--as-of", AS_OF, "--window-days", "3")
    return name


@pytest.fixture(scope="session")
def api_conninfo(lasting_database, api_template):
    """A copy that tests only read from."""
    return lasting_database(template=api_template)


@pytest.fixture
def api_copy(lasting_database, api_template):
    """A connection in autocommit to a copy that the test may change."""
    with psycopg.connect(lasting_database(template=api_template), autocommit=True) as conn:
        yield conn


@pytest.fixture
def api_client():
    """Return a Flask test client for a database; the clock stands at NOW."""
    databases = []

    def client(conninfo, **settings):
        settings = {"token": TOKEN, **settings}
        app = create_app(Settings(conninfo, **settings), now=lambda: NOW)
        databases.append(app.extensions["database"])
        return app.test_client()

    yield client
    for database in databases:
        database.close()


@pytest.fixture
def get(api_client, api_conninfo):
    """GET a path of the API on the read-only copy, with the token."""
    client = api_client(api_conninfo)
    return lambda path, **headers: fetch(client, path, **headers)


@pytest.fixture(scope="session")
def live(api_conninfo):
    """The port of a server on the read-only copy, with the real clock."""
    with serving(DATABASE_URL=url_of(api_conninfo), DASHBOARD_TOKEN=TOKEN) as (_, port, _):
        yield port
