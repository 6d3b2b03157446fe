"""The export to a lake: the same rows as in PostgreSQL, whole days, and only those that changed."""

import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import tables
from tables import NOW

from dbt_project import database
from dbt_project.lake import UNDATED, export, parquet, place
from dbt_project.messages import Failure

pq = pytest.importorskip("pyarrow.parquet", reason="the extra spark is not installed")
SINCE = date(2026, 11, 20)
EPOCH = datetime(1970, 1, 1)
FIRST, LAST = ((at - EPOCH) // timedelta(microseconds=1) for at in (datetime.min, datetime.max))


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A folder with a blank in its name that LAKE_PATH names."""
    monkeypatch.setenv("LAKE_PATH", str(tmp_path / "the lake"))
    return tmp_path / "the lake"


@pytest.fixture
def conn(database_url):
    with database.connect(database_url) as conn:
        yield conn


def run(conn, since=SINCE, schema="public", **options):
    return export(conn, schema, place.open_lake(), since, **options)


def day_file(lake, day):
    return lake / f"event_logs/day={day}/event_logs.parquet"


def rows(lake, day, *names):
    """What a day's file holds; times are microseconds."""
    table = pq.ParquetFile(day_file(lake, day)).read()
    columns = [
        table[name].cast("int64") if name.endswith("_at") else table[name]
        for name in names or ["event_name"]
    ]
    return sorted(zip(*(column.to_pylist() for column in columns), strict=True), key=repr)


def days(lake):
    return sorted(path.name.removeprefix("day=") for path in (lake / "event_logs").iterdir())


def micros(at):
    return (at - EPOCH) // timedelta(microseconds=1)


def stamps(lake):
    return {path: path.stat().st_mtime_ns for path in sorted(lake.glob("event_logs/*/*.parquet"))}


def test_days_are_those_of_utc(source, cli, lake):
    source.event(datetime(2026, 11, 20, 23, 59, 59, 999000), "late")
    source.event(datetime(2026, 11, 21), "early")
    source.event(datetime(2026, 11, 19, 23, 59, 59, 999000), "before")
    source.event(datetime(2026, 11, 22), "after")
    outcome = cli("lake", "export", "--since", SINCE, "--until", "2026-11-21")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == f"Exported 2 events of 2 days to {lake}.\n"
    assert days(lake) == ["2026-11-20", "2026-11-21"]
    assert rows(lake, "2026-11-20") == [("late",)]
    assert rows(lake, "2026-11-21", "event_name", "occurred_at") == [
        ("early", micros(datetime(2026, 11, 21)))
    ]
    file = pq.ParquetFile(day_file(lake, "2026-11-21"))
    assert str(file.schema_arrow.field("received_at").type) == "timestamp[us, tz=UTC]"
    assert str(file.schema.column(file.schema.names.index("occurred_at")).logical_type).startswith(
        "Timestamp(isAdjustedToUTC=true, timeUnit=microseconds"
    )


@pytest.mark.parametrize(
    "text",
    ["", " ", '"', "a\nb", "a\r\nb", "\r", ",", "\\N", "\\.", "zoë 🦊", "NULL", 'a"\n"b', "\t"],
    ids=repr,
)
def test_texts_are_the_same(source, conn, lake, text):
    source.event(NOW, text, text or "u", platform=text, version=None)
    run(conn)
    names = ("event_name", "anonymous_user_id", "platform", "app_version")
    assert rows(lake, NOW.date(), *names) == [(text, text or "u", text, None)]


def test_json_is_as_jsonb_prints_it(source, conn, lake):
    texts = ['{"b":1.00, "a":"\\u00e9\\n"}', "1e400", "-0", '{"a":1,"a":2}', "null", "[ ]"]
    for text in texts:
        source.event(NOW, text)
        source.do(
            "update event_logs set experiment_map = cast(event_name as jsonb),"
            " properties = cast(event_name as jsonb)"
        )
    source.event(NOW)
    stored = source.conn.execute(
        "select cast(experiment_map as text), cast(properties as text) from event_logs"
    ).fetchall()
    run(conn)
    assert rows(lake, NOW.date(), "experiment_map", "properties") == sorted(stored, key=repr)
    assert ('{"a": "é\\n", "b": 1.00}',) in rows(lake, NOW.date(), "experiment_map")


def test_impossible_times_are_the_first_and_the_last(source, conn, lake):
    for at in ("infinity", "-infinity", "10000-01-01", "0044-03-15 BC"):
        source.event(at, at)
    source.do("alter table event_logs alter column occurred_at drop not null")
    source.event(None, "none", received="infinity")
    source.event("9999-12-31 23:59:59.999", "end", received="-infinity")
    source.event("0001-01-01 12:00", "begin")
    run(conn, date.min)
    assert days(lake) == ["0001-01-01", "9999-12-31", UNDATED.removeprefix("day=")]
    names = ("event_name", "occurred_at", "received_at")
    assert {name: at for name, *at in rows(lake, "9999-12-31", *names)} == {
        "infinity": [LAST, LAST], "10000-01-01": [LAST, LAST], "end": [LAST - 999, FIRST],
    }  # fmt: skip
    assert {name: at for name, *at in rows(lake, "0001-01-01", *names)} == {
        "-infinity": [FIRST, FIRST], "0044-03-15 BC": [FIRST, FIRST],
        "begin": [FIRST + 43_200_000_000] * 2,
    }  # fmt: skip
    assert rows(lake, UNDATED.removeprefix("day="), *names) == [("none", None, LAST)]
    assert run(conn, date.min).written == 0
    source.do("delete from event_logs where occurred_at in ('infinity', '-infinity')")
    assert run(conn, date.min).written == 2
    source.do("delete from event_logs")
    assert run(conn, date.min).removed == 3


STRANGE = """
    create type platform as enum ('ios', 'android');
    create domain user_name as uuid;
    create table apps.log (
        "who?" user_name, what varchar(20), at timestamptz, got timestamptz, map json,
        on_device platform, amount numeric(10, 3), size smallint, real real, double float8,
        tags text[], bytes bytea, span interval, is_test boolean, on_day date, day int, "Day" int,
        "a b" text, A text, "A" text, wall timestamp(0)
    );
    insert into apps.log values (
        '00000000-0000-0000-0000-00000000000A', 'opened', '2026-11-20 05:45+05:45',
        '2026-11-20 01:00:00.123456Z', '{"x":1.0}', 'ios', 1.500, 7, 0.1, 0.1, '{a,"b c"}',
        '\\x00ff', '1 day 2 hours', true, '2026-11-20', 1, 2, 'blank', 'small', 'big',
        '2026-11-20 12:00'
    ), (
        null, '', '2026-11-20 00:00Z', null, '{"y": "\\u0000"}', null, null, null, null, 'NaN',
        null, null, null, null, null, null, null, null, null, null, null
    );
    create view apps.event_logs as
    select
        "who?" as anonymous_user_id, what as event_name, at as occurred_at, got as received_at,
        map as experiment_map, on_device as platform, cast(null as text) as app_version, *
    from apps.log
"""


def test_view_with_strange_types(source, conn, lake):
    source.do("create schema apps; set datestyle = 'SQL, DMY'")
    source.do(STRANGE)
    name = conn.execute("select current_database()").fetchone()[0]
    conn.rollback()
    source.do(f"alter database {name} set datestyle to 'SQL, DMY'")
    with database.connect(conn.info.dsn) as fresh:
        done = run(fresh, schema="apps")
    assert [note for note in done.notes if "left out" in note] == [
        "event_logs.day is left out: in the lake, day is the day of occurred_at.",
        "event_logs.Day is left out: in the lake, day is the day of occurred_at.",
        "event_logs.A is left out: for Spark it has the same name as a.",
    ]
    assert sum("no table" in note for note in done.notes) == 3
    table = pq.ParquetFile(day_file(lake, SINCE)).read()
    opened, bare = sorted(table.to_pylist(), key=lambda row: row["event_name"], reverse=True)
    assert opened | {"received_at": None, "occurred_at": None, "got": None, "at": None} == {
        "anonymous_user_id": "00000000-0000-0000-0000-00000000000a", "event_name": "opened",
        "occurred_at": None, "received_at": None, "at": None, "got": None,
        "experiment_map": '{"x": 1.0}', "map": '{"x": 1.0}', "platform": "ios",
        "app_version": None, "who?": "00000000-0000-0000-0000-00000000000a", "what": "opened",
        "on_device": "ios", "amount": "1.500", "size": 7, "real": "0.1", "double": 0.1,
        "tags": '{a,"b c"}', "bytes": "\\x00ff", "span": "1 day 02:00:00", "is_test": True,
        "on_day": "2026-11-20", "a b": "blank", "a": "small",
        "wall": datetime(2026, 11, 20, 12, tzinfo=UTC),
    }  # fmt: skip
    assert opened["received_at"] == datetime(2026, 11, 20, 1, 0, 0, 123456, UTC)
    assert (bare["event_name"], bare["experiment_map"], bare["anonymous_user_id"]) == (
        "",
        None,
        None,
    )
    assert bare["double"] != bare["double"]


def test_other_tables_are_copied_whole_each_time(source, conn, lake):
    source.event(NOW)
    source.experiment("x", weight=(0.1, float("nan")), end_at="infinity")
    source.assign("u", "x", "A")
    run(conn)
    source.do("update assignments set variant_id = 'B'")
    assert run(conn).unchanged == 1
    read = {
        name: pq.ParquetFile(lake / name / f"{name}.parquet").read()
        for name in ("assignments", "experiments", "experiment_variants")
    }
    assert read["assignments"]["variant_id"].to_pylist() == ["B"]
    assert read["experiments"]["end_at"].cast("int64").to_pylist() == [LAST]
    assert read["experiment_variants"]["is_control"].to_pylist() == [True, False]
    assert read["experiment_variants"]["weight"].to_pylist()[0] == 0.1
    source.do("drop table assignments")
    assert "no table assignments" in " ".join(run(conn).notes)
    assert not (lake / "assignments").exists()


def test_only_days_that_changed_are_written_again(source, conn, lake):
    for day in range(20, 25):
        source.event(datetime(2026, 11, day), "first")
        source.event(datetime(2026, 11, day, 12), "second")
    assert run(conn).written == 5
    before = stamps(lake)
    assert (done := run(conn)).written == done.events == 0
    assert stamps(lake) == before
    source.event(datetime(2026, 11, 20, 1), "late", received=NOW)
    source.do("delete from event_logs where occurred_at = '2026-11-21'")
    source.do("update event_logs set received_at = '2030-01-01' where occurred_at = '2026-11-22'")
    source.do(
        "delete from event_logs where occurred_at >= '2026-11-23' and occurred_at < '2026-11-24'"
    )
    done = run(conn)
    assert (done.written, done.unchanged, done.removed, done.events) == (3, 1, 1, 6)
    assert days(lake) == ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-24"]
    assert ("late",) in rows(lake, "2026-11-20")
    assert rows(lake, "2026-11-21") == [("second",)]
    assert stamps(lake)[day_file(lake, "2026-11-24")] == before[day_file(lake, "2026-11-24")]
    assert run(conn, again=True).written == 4
    source.do("alter table event_logs add column campaign text default 'ads'")
    assert run(conn).written == 4
    assert rows(lake, "2026-11-24", "campaign") == [("ads",), ("ads",)]


def test_days_outside_are_left_alone(source, conn, lake):
    for day in (18, 20, 22):
        source.event(datetime(2026, 11, day))
    run(conn, date(2026, 11, 18))
    source.do("truncate event_logs")
    done = run(conn, SINCE, until=date(2026, 11, 21))
    assert done.removed == 1
    assert days(lake) == ["2026-11-18", "2026-11-22"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, psycopg.OperationalError, OSError])
def test_export_that_stops_leaves_whole_days(source, conn, lake, monkeypatch, stop):
    monkeypatch.setattr(parquet, "GROUP", 1000)
    for day in (20, 21):
        source.events(*(tables.event(datetime(2026, 11, day, 1), "old") for _ in range(20)))
    run(conn)
    source.do(
        "update event_logs set event_name = 'new', received_at = received_at + interval '1 s'"
    )
    calls = []

    def progress(done, _):
        calls.append(done)
        if done > 25:
            raise stop

    with pytest.raises((stop, Failure)):
        run(conn, progress=progress)
    assert len(calls) > 2
    assert rows(lake, "2026-11-20") == [("new",)] * 20
    assert rows(lake, "2026-11-21") == [("old",)] * 20
    assert list((lake / "_unfinished").iterdir()) == []
    conn.rollback()
    done = run(conn)
    assert (done.written, done.unchanged) == (1, 1)
    assert rows(lake, "2026-11-21") == [("new",)] * 20


def test_day_is_as_it_was_at_one_moment(source, conn, lake, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP", 500)
    source.events(*(tables.event(NOW, "before") for _ in range(20)))

    def progress(done, _):
        if done < 20:
            source.event(NOW, "meanwhile")

    assert run(conn, progress=progress).events == 20
    assert rows(lake, NOW.date()) == [("before",)] * 20
    assert pq.ParquetFile(day_file(lake, NOW.date())).num_row_groups > 2
    assert run(conn).written == 1
    assert len(rows(lake, NOW.date())) > 20


def test_what_a_killed_export_left_goes_after_a_day(source, conn, lake):
    source.event(NOW)
    (lake / "_unfinished").mkdir(parents=True)
    for name, age in (("old", 90_000), ("young", 60)):
        (lake / "_unfinished" / name).touch()
        at = datetime.now().timestamp() - age
        os.utime(lake / "_unfinished" / name, (at, at))
    run(conn)
    assert [path.name for path in (lake / "_unfinished").iterdir()] == ["young"]


@pytest.mark.parametrize("folder", ["event_logs/day=2026-11-23", "assignments"])
def test_files_of_others_are_refused(source, conn, lake, folder):
    source.event(NOW)
    (lake / folder).mkdir(parents=True)
    (lake / folder / "part-0.parquet").touch()
    (lake / folder / "_SUCCESS").touch()
    with pytest.raises(Failure, match=r"part-0\.parquet, which no export wrote.*Nothing was exp"):
        run(conn)
    assert not list(lake.glob("*/*/event_logs.parquet"))


def test_history_that_the_lake_lacks_is_named(source, conn, lake):
    now = datetime.now(UTC).replace(tzinfo=None)
    source.event(now - timedelta(days=40))
    source.event(now)
    [note] = run(conn, now.date()).notes
    first = (now - timedelta(days=40)).date()
    assert note.startswith(f"The source has events since {first}, the lake lacks those before")
    assert run(conn, first).notes == run(conn, now.date()).notes == []


def test_object_store_is_written_as_a_disk_is(source, conn, monkeypatch):
    from pyarrow import fs
    from pyarrow._fs import _MockFileSystem

    opened = []
    store = _MockFileSystem()

    def from_uri(uri):
        opened.append(uri)
        return store, "bucket/lake"

    monkeypatch.setattr(fs, "FileSystem", type("Systems", (), {"from_uri": staticmethod(from_uri)}))
    monkeypatch.setenv("LAKE_PATH", "s3a://bucket/lake/")
    source.event(NOW)
    done = run(conn)
    assert opened == ["s3://bucket/lake"]
    assert done.sentence(place.open_lake()) == "Exported 1 events of 1 day to s3a://bucket/lake."
    assert run(conn).unchanged == 1
    source.do("delete from event_logs")
    assert run(conn).removed == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "LAKE_PATH is not set. Set LAKE_PATH to a folder, or to a URL such as s3a://"),
        ("file:relative", "LAKE_PATH: a file: URL needs an absolute path."),
        ("ftp://host/folder", "LAKE_PATH: ftp://host/folder cannot be opened: "),
        ("/proc/lake", "LAKE_PATH: /proc/lake cannot be written: "),
    ],
)
def test_path_that_cannot_be_used(source, cli, monkeypatch, path, words):
    source.event(NOW)
    monkeypatch.setenv("LAKE_PATH", path)
    outcome = cli("lake", "export", "--since", SINCE)
    assert outcome.exit_code == 1
    [line] = [line for line in outcome.stderr.splitlines() if line != "Exporting"]
    assert line.startswith(f"Error: {words}")


def test_file_url_is_a_path(monkeypatch, tmp_path):
    for given in (f"file://{tmp_path}/a%20b", f"file:{tmp_path}/a%20b/", f"{tmp_path}/a b/"):
        monkeypatch.setenv("LAKE_PATH", given)
        assert place.given_path() == f"{tmp_path}/a b"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKE_PATH", "a b")
    assert place.given_path() == str(Path.cwd() / "a b")


def test_missing_library_is_named(cli, source, lake, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    outcome = cli("lake", "export", "--since", SINCE)
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Error: pyarrow is not installed, which writes Parquet.")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Missing option '--since'"),
        (("--since", "2026-13-01"), "is no day such as"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "--until must not be before --since"),
    ],
)
def test_days_that_make_no_sense(cli, source, lake, options, words):
    outcome = cli("lake", "export", *options)
    assert outcome.exit_code in (1, 2)
    assert words in outcome.stderr
    assert not lake.exists()


def test_source_that_a_run_cannot_read_is_refused(db, cli, lake):
    outcome = cli("lake", "export", "--since", SINCE)
    assert outcome.exit_code == 1
    assert "The source table event_logs is not in schema public" in outcome.stderr
