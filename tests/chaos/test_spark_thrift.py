"""A Thrift server of Spark, with settings and tables of its own."""

from contextlib import closing
from datetime import timedelta

import pytest
import spark_here
from edges import DAY, awkward, odd_json
from spark_cluster import thrift_server
from tables import NOW, TODAY, differences, stored

from dbt_project import ROOT, runner
from dbt_project.source import TABLES

pytestmark = [pytest.mark.chaos, *spark_here.in_process]


def test_a_server_computes_what_postgresql_does(source, run, cli, folder, monkeypatch, capfd):
    awkward(source, NOW)
    odd_json(source)
    for schema in ("by_postgres", "analytics"):  # days that Spark never computed
        monkeypatch.setenv("ANALYTICS_SCHEMA", schema)
        assert run("--job", "experiment", as_of=NOW - 20 * DAY).exit_code == 0
    monkeypatch.setenv("ANALYTICS_SCHEMA", "by_postgres")
    assert run(as_of=NOW).exit_code == 0
    lake = folder / "lake"
    monkeypatch.setenv("LAKE_PATH", str(lake))
    assert cli("lake", "export", "--since", TODAY - timedelta(days=181)).exit_code == 0
    monkeypatch.delenv("LAKE_PATH")
    monkeypatch.setenv("ANALYTICS_SCHEMA", "analytics")
    with thrift_server(folder) as port:
        for name, value in (("METHOD", "thrift"), ("HOST", "127.0.0.1"), ("PORT", port)):
            monkeypatch.setenv(f"SPARK_{name}", str(value))

        outcome = run("--target", "spark", as_of=NOW)
        assert outcome.exit_code == 1
        assert "Spark has no table event_logs in schema public. Let LAKE_PATH" in outcome.stdout

        create_tables(port, lake)
        outcome = run("--target", "spark", as_of=NOW)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        wanted = stored(source.conn, "by_postgres")
        assert differences(stored(source.conn, "analytics"), wanted) == []

        # Someone's own profile, without the settings of ours.
        profile = (ROOT / "profiles.yml.example").read_text()
        (folder / "profiles.yml").write_text(profile.replace("set:hiveconf:", "unknown."))
        command = ["run-operation", "check_spark", "--target", "spark", "--profiles-dir", folder]
        assert not runner.dbt(map(str, command), {}).success
        told = capfd.readouterr().out
        assert "Spark has times of America/New_York, and a run needs those of UTC." in told


def create_tables(port, lake):
    """Make tables of the server, in the schema that SOURCE_SCHEMA names, of a lake's files."""
    from pyhive import hive

    with closing(hive.connect("127.0.0.1", port)) as conn, closing(conn.cursor()) as cursor:
        cursor.execute("create schema public")
        for name in TABLES:
            cursor.execute(f"create table public.{name} using parquet location '{lake}/{name}'")
        cursor.execute("msck repair table public.event_logs")
