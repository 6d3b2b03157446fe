"""Files of events: what is read, what is refused and how, and that nothing is half loaded."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import tarfile
import zipfile
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial

import documents
import psycopg
import pytest
from click.testing import CliRunner

from cli import cli as command_line
from dbt_project import demo, load, source
from dbt_project.database import database_name
from dbt_project.load import BadFile, Source, files
from dbt_project.load.rows import NAMES, TABLES, Reader, pairs
from dbt_project.messages import Failure
from dbt_project.settings import timezone

HEADER = "user,event,occurred_at\n"
NOON = datetime(2026, 11, 24, 12)
ROW = {"user": "zoë", "event": "a", "occurred_at": "2026-11-24T12:00:00Z"}
CSV = HEADER + "zoë,a,2026-11-24T12:00:00Z\n"
LINE = json.dumps(ROW, ensure_ascii=False)


@pytest.fixture(scope="module")
def shared(lasting_database):
    with psycopg.connect(lasting_database(), autocommit=True) as conn:
        yield conn


@pytest.fixture
def db(shared):
    """An empty database, in a transaction that ends with the test."""
    with shared.transaction(force_rollback=True):
        yield shared


def encoded(content):
    return content if isinstance(content, bytes) else content.encode(errors="surrogateescape")


def reader(table="event_logs", zone="UTC", mapping=(), skipped=()):
    return Reader(table, timezone(zone), pairs(mapping), skipped)


def streamed(*streams, size=0):
    return [
        Source(f"{nth}.csv", partial(nullcontext, stream), size)
        for nth, stream in enumerate(streams, start=1)
    ]


def into(db, *contents, schema="public", progress=None, replace=False, **options):
    streams = streamed(*(io.BytesIO(encoded(content)) for content in contents), size=bool(progress))
    given = [file._replace(size=len(encoded(contents[0]))) for file in streams]
    files = given if progress else streams
    return load.load(db, schema, files, reader(**options), progress=progress, replace=replace)


def rows(db, columns):
    return db.execute(f"select {columns} from event_logs order by id").fetchall()


def refusal(db, *contents, **options):
    """Load what must be refused; return the error, after checking that all is gone."""
    with pytest.raises(BadFile) as refused:
        into(db, *contents, **options)
    assert source.existing_source_tables(db, "public") == []
    return refused.value


class Pipe(io.BytesIO):
    """A pipe that gives one byte, and then at most 9,000 at a time."""

    def seekable(self):
        return False

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[: 9000 if self.tell() else 1])


@pytest.mark.parametrize(
    "content",
    {
        "no last newline": CSV.rstrip(),
        "BOM of Excel": "\ufeff" + CSV,
        "CRLF": CSV.replace("\n", "\r\n"),
        "CR": CSV.replace("\n", "\r"),
        "blank lines": "\n  \n" + CSV.replace("\n", "\n\n") + "   \n",
        "empty cells of Excel": CSV.replace("\n", ",,\n") + ",,,,\n,,\n",
        "quoted header": CSV.replace("user", '"user"'),
        "spaces in the header": CSV.replace(",", " , ", 2),
        "semicolons": CSV.replace(",", ";"),
        "semicolons of Excel": "sep=;\r\n" + CSV.replace(",", ";"),
        "tabs": CSV.replace(",", "\t"),
        "bars": CSV.replace(",", "|"),
        "capitals": CSV.replace(HEADER, "User,Event Name,OCCURRED_AT\n"),
        "camel case": CSV.replace(HEADER, "anonymousUserId,eventName,occurredAt\n"),
        "BOM before NDJSON": "\ufeff" + LINE,
        "camel case in JSON": LINE.replace("user", "userId").replace("occurred_at", "occurredAt"),
        "array": f"[{LINE}]",
        "array in lines": f"\n[{LINE}\n]\n",
        "arrays one after another": f"[]\n[{LINE}]\n[]\n",
        "empty beside it": f"[ {LINE} , ]",
        "pretty array": json.dumps([ROW], indent=4),
        "pretty objects": json.dumps(ROW, indent=40),
        "wrapped array": json.dumps({"events": [ROW]}),
        "wrapped pretty array": json.dumps({"the data": [ROW]}, indent=30),
        "long indent": "[" + " " * 100_000 + LINE + "\n" * 70_000 + "]",
        "UTF-16 of Excel": CSV.encode("utf-16"),
        "UTF-16, big end first": ("\ufeff" + CSV).encode("utf-16-be"),
        "UTF-16 without BOM": CSV.encode("utf-16-le"),
        "UTF-16 without BOM, big end first": LINE.encode("utf-16-be"),
        "UTF-32": LINE.encode("utf-32"),
        "gzip": gzip.compress(CSV.encode()),
        "gzip in parts": gzip.compress(CSV[:9].encode()) + gzip.compress(CSV[9:].encode()),
        "bzip2": bz2.compress(CSV.encode("utf-16")),
        "xz": lzma.compress(json.dumps([ROW], indent=1).encode()),
    }.items(),
    ids=lambda item: item[0],
)
@pytest.mark.parametrize(
    "stream", [io.BytesIO, lambda content: io.BufferedReader(Pipe(content))], ids=["file", "pipe"]
)
def test_one_event_however_it_is_written(db, content, stream):
    load.load(db, "public", streamed(stream(encoded(content[1]))), reader())
    assert rows(db, "anonymous_user_id, event_name, occurred_at") == [("zoë", "a", NOON)]


def archive(kind, name="events.csv"):
    """A tar or zip archive with one file in it."""
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as zipped:
            zipped.writestr(name, CSV)
    else:
        with tarfile.open(fileobj=packed, mode=kind) as tar:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (archive("zip"), "a ZIP archive"),
        (archive("zip", "[Content_Types].xml"), "an Excel workbook"),
        (archive("w"), "a tar archive"),
        (archive("w:gz"), "a tar archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z or RAR archive"),
        (b"\x28\xb5\x2f\xfd....", "compressed by zstd"),
        (b"\xd0\xcf\x11\xe0....", "an Excel workbook"),
        (b"PAR1....", "a Parquet file"),
        (b"SQLite format 3\0", "binary data"),
        (b"\n<!DOCTYPE html><title>Please log in", "HTML or XML"),
        (b"\4\x22\4\x18....", "binary data"),
        (gzip.compress(gzip.compress(CSV.encode())), "binary data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # not bytes with a clock in them
)
def test_other_files_are_named(db, content, kind):
    assert refusal(db, content).problems == [
        f"line 1: this is {kind}; unpack it or export it as CSV, NDJSON or a JSON array, in UTF-8"
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"[{LINE},\n{LINE}", ["line 2: broken JSON: the array does not end"]),
        (f"[{LINE},\n3]", ["line 2: not a JSON object: 3"]),
        (
            f'[\n{LINE},\n{{"user": u}},\n{{"user": "u"}}]',
            [
                "line 3: broken JSON: Expecting value at character 10",
                "line 4: event: no such column (nor event_name)",
            ],
        ),
        (f"[{LINE}]\n{LINE[:9]}", ["line 2: broken JSON: Expecting value at character 10"]),
        (json.dumps([ROW, ROW | {"user": ""}], indent=1), ["line 7: user: empty"]),
        ('{"data": [],\n"total": 2}', ["line 2: unknown column: 'data', or a value beside"]),
        ('{"total": 2, "data": []}', ["line 1: user: no such column"]),
        (f'{{"properties": [{LINE}]}}', ["line 1: user: no such column"]),
        (CSV.encode("utf-16")[:-1], ["line 1: damaged: "]),
        (LINE + "\n" + LINE.replace("zoë", "\udcff"), ["line 2: user: invalid UTF-8"]),
        ("", ["line 1: no event in the file"]),
        (HEADER, ["line 1: no event in the file"]),
        ("\n \n", ["line 1: no event in the file"]),
        ("user,event\nu,e\n", ["line 1: occurred_at: no such column (nor time or timestamp)"]),
        ("user,event;time\n", ["line 1: event: no such column (nor event_name)"]),
        ("user,event,time,a,a\n", ["line 1: a: in more than one column"]),
        ("user,event,time,timestamp\n", ["line 1: occurred_at: in more than one column"]),
        ("user,event,time,user\n", ["line 1: user: in more than one column"]),
    ],
)
def test_bad_arrays_and_headers_are_told(db, content, told):
    refused = refusal(db, content)
    found = refused.problems
    assert len(found) == len(told) and all(map(str.startswith, found, told))
    assert ("column" in told[-1]) == ("--map 'user=" in str(refused))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("u,e,yesterday", "occurred_at: not a time: 'yesterday'"),
        ("u,e,2026-13-01", "occurred_at: not a time: '2026-13-01'"),
        ("u,e,20261124", "occurred_at: not a time: '20261124'"),
        ("u,e,0", "occurred_at: not a time: '0'"),
        ("u,e,-1795521600", "occurred_at: not a time: '-1795521600'"),
        ("u,e,50000000000", "occurred_at: not a time: '50000000000'"),
        ("u,e,nan", "occurred_at: not a time: 'nan'"),
        ("u,e,202611243120000", "occurred_at: not a time: '202611243120000'"),
        ("u,e,17955216001234567", "occurred_at: not a time: '17955216001234567'"),
        ("u,e,9999999999", "occurred_at: year out of range: '9999999999'"),
        ("u,e," + "9" * 400, "occurred_at: not a time: '9999"),
        ("u,e,1969-12-31", "occurred_at: year out of range: '1969-12-31'"),
        ("u,e,9999-12-31T23:59:59-05:00", "occurred_at: year out of range"),
        ("u,e,0001-01-01T00:00:00+05:00", "occurred_at: year out of range"),
        ("u,e,", "occurred_at: empty"),
        (",e,2026-11-24", "user: empty"),
        ("NULL,e,2026-11-24", "user: empty or NULL"),
        (r"u,\N,2026-11-24", "event: empty or NULL"),
        ("u,  ,2026-11-24", "event: empty"),
        ("u\0,e,2026-11-24", r"user: NUL character: 'u\x00'"),
        ("\0\0", r"1 fields, but the header has 3: '\x00\x00'"),
        ("u,e", "2 fields, but the header has 3: 'u,e'"),
        ("u,e,2026-11-24,x", "4 fields, but the header has 3"),
        ("caf\udce9,e,2026-11-24", r"user: invalid UTF-8: 'caf\udce9'"),
        ('"u"x,e,2026-11-24', "broken CSV: ',' expected after '\"'"),
        ('"u,e,2026-11-24', "broken CSV: unexpected end of data"),
    ],
)
def test_bad_csv_lines_are_told(db, line, problem):
    refused = refusal(db, f"{HEADER}u,e,2026-11-24\n\n{line}\n")
    assert len(refused.problems) == 1
    assert refused.problems[0].startswith(f"line 4: {problem}")
    assert ("\udce9" in line) == ("iconv" in str(refused))
    assert ("not a time" in problem) == ("unix seconds" in str(refused))


GOOD = '{"user": "u", "event": "e", "occurred_at": "2026-11-24"}\n'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"user": "u", ', "broken JSON: "),
        ("user,event", "broken JSON: Expecting value at character 1"),
        ("[[]]", "not a JSON object: []"),
        ('{"user": ' * 5000, "broken JSON: nested too deeply"),
        (GOOD.replace('"u"', "[1]"), "user: not a text: [1]"),
        (GOOD.replace('"u"', "true"), "user: not a text: True"),
        (GOOD.replace('"u"', "null"), "user: empty"),
        (GOOD.replace('"u"', r'"\ud800"'), "user: invalid UTF-8"),
        (GOOD.replace('"u"', r'"\u0000"'), "user: NUL character"),
        (GOOD.replace('"2026-11-24"', "true"), "occurred_at: not a time: True"),
        (GOOD.replace('"2026-11-24"', "1e999"), "occurred_at: not a time: inf"),
        (GOOD.replace('"2026-11-24"', "{}"), "occurred_at: not a time: {}"),
        ('{"user": "u", "event": "e"}', "occurred_at: no such column (nor time or timestamp)"),
        (GOOD.replace("{", '{"a": 1, "properties": {"a": 1}, '), "properties: 'a' is in it, and"),
        (GOOD.replace("{", r'{"a": "\ud800", '), "properties: invalid UTF-8"),
        (GOOD.replace("{", r'{"a": [{"b": "\u0000"}], '), "properties: NUL character"),
        (GOOD.replace("{", '{"user_id": 1, '), "user: in more than one column"),
        (GOOD.replace("{", '{"experiment_map": ["A"], '), "experiment_map: not a JSON object"),
        (GOOD.replace("{", r'{"properties": {"a": "\ud800"}, '), "properties: invalid UTF-8"),
        (GOOD.replace("{", r'{"properties": {"a": "\u0000"}, '), "properties: NUL character"),
        (GOOD.replace("{", '{"properties": {"a": 1e999}, '), "properties: Out of range float"),
        (GOOD.replace("{", '{"properties": {"a": NaN}, '), "broken JSON: NaN is not a JSON number"),
    ],
)
def test_bad_ndjson_lines_are_told(db, line, problem):
    (told,) = refusal(db, f"{GOOD}\n{line.strip()}\n{GOOD}").problems
    assert told.startswith(f"line 3: {problem}")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("{", "broken JSON: Expecting property name"),
        ("[1]", "not a JSON object: '[1]'"),
        ('"A"', "not a JSON object: '\"A\"'"),
        ('{"a": NaN}', "broken JSON: NaN is not a JSON number"),
        (r'{"a": "\u0000"}', "NUL character"),
        (r'{"\u0000": "A"}', "NUL character"),
        (r'{"a": "\ud800"}', "invalid UTF-8"),
        ('{"a": ' * 3000 + "1" + "}" * 3000, "broken JSON: nested too deeply"),
    ],
)
@pytest.mark.parametrize("column", ["experiment_map", "properties"])
def test_bad_json_in_a_csv_field_is_told(db, column, value, problem):
    quoted = value.replace('"', '""')
    content = f'user,event,occurred_at,{column}\nu,e,2026-11-24,"{quoted}"\n'
    (told,) = refusal(db, content).problems
    assert told.startswith("line 2: ") and problem in told
    assert len(told) < 200


def test_the_columns_are_documented():
    text = documents.read("docs/load.md")
    for heading, tables in {"Columns": ["event_logs"], "Experiments": [*TABLES][1:]}.items():
        documented = {}
        for *table, names, others, _ in text.table(heading):
            for name in names.split(", "):
                documented[*(table or tables), name] = tuple(filter(None, others.split(", ")))
        assert documented == {
            (table, NAMES.get(column, (column,))[0]): NAMES.get(column, (column,))[1:]
            for table in tables
            for column in TABLES[table]
        }


def test_values_without_end_are_told(db, monkeypatch, request):
    request.addfinalizer(partial(csv.field_size_limit, csv.field_size_limit(1000)))
    long, field = refusal(db, f"{HEADER}{'u' * 1001},e,2026-11-24\nu,e,never\n").problems
    assert long.startswith("line 2: broken CSV: field larger")
    assert field == "line 3: occurred_at: not a time: 'never'"
    monkeypatch.setattr(files, "LIMIT", 1000)
    assert refusal(db, f'{GOOD}{{"user": [{"[1], " * 50_000}').problems == [
        "line 2: a JSON value of more than 1,000 characters"
    ]


def test_a_value_too_long_for_the_index_is_told(db):
    noise = "".join(chr(0x4E00 + (i * 7919) % 20_000) for i in range(6_000))
    assert refusal(db, f"{HEADER}u,e,2026-11-24\nu,{noise},2026-11-24\n").problems == [
        "line 3: a user, event, id or session too long for an index"
    ]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_damaged_files_are_told(db, pack):
    packed = pack((HEADER + "u,e,2026-11-24\n").encode())
    for broken in (packed[:20], packed[:-4], packed[:16] + b"????" + packed[20:]):
        (told,) = refusal(db, broken).problems
        assert told.startswith("line 1: damaged: ")


def test_twenty_problems_are_shown_with_their_lines_and_the_rest_counted(db):
    content = HEADER + '"two\nlines",e,2026-11-24\n\nu,e,never\n"also\ntwo",e,never\n'
    refused = refusal(db, content + "u,e,never\n" * 31)
    lines = [int(problem.split(":")[0].removeprefix("line ")) for problem in refused.problems]
    assert lines == [5, 6, *range(8, 26)] and refused.total == 33
    assert "line 25: occurred_at: not a time: 'never'\nand 13 more\n" in str(refused)


def test_ids_that_repeat_are_told_and_counted(db):
    lines = "".join(f"{key},u,e,2026-11-24\n" for key in ("a", "b", "a", "", "a", "b"))
    assert refusal(db, "id," + HEADER + lines).problems == [
        "line 4: id: 'a' is in line 2 too",
        "line 6: id: 'a' is in line 2 too",
        "line 7: id: 'b' is in line 3 too",
    ]
    many = refusal(db, json.dumps([ROW | {"id": f"{key % 50}"} for key in range(100)]))
    assert len(many.problems) == 20 and many.total == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T12:00:00Z", NOON),
        ("2026-11-24t12:00:00z", NOON),
        ("2026-11-24 12:00:00", NOON),
        ("2026-11-24T12:00", NOON),
        ("2026-11-24T13:00:00+01:00", NOON),
        ("2026-11-24 06:30:00-0530", NOON),
        ("2026-11-24 12:00:00+00", NOON),
        (" 2026-11-24T12:00:00Z ", NOON),
        (" 1795521600 ", NOON),
        ("2026-11-24", datetime(2026, 11, 24)),
        ("2026-11-24T12:00:00.123456Z", NOON.replace(microsecond=123000)),
        ("2026-11-24T12:00:00.999999Z", NOON.replace(microsecond=999000)),
        ("1795521600", NOON),
        ("1795521600.25", NOON.replace(microsecond=250000)),
        ("1795521600123", NOON.replace(microsecond=123000)),
        ("1795521600123456", NOON.replace(microsecond=123000)),
        ("1795521600123456789", NOON.replace(microsecond=123000)),
        ("2026-11-24 12:00:00.123 UTC", NOON.replace(microsecond=123000)),
        ("1000000000", datetime(2001, 9, 9, 1, 46, 40)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1)),
        ("2199-12-31T23:59:59Z", datetime(2199, 12, 31, 23, 59, 59)),
    ],
)
def test_times(db, text, expected):
    into(db, f"{HEADER}u,e,{text}\n")
    numbers = [json.loads(text)] if text.replace(".", "").isdigit() else []
    into(db, json.dumps([ROW | {"occurred_at": value} for value in (text, *numbers)]))
    assert set(rows(db, "occurred_at")) == {(expected,)}


@pytest.mark.parametrize(
    ("zone", "given", "expected"),
    [
        ("Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01 10:00:00"),
        ("Europe/Berlin", "2026-07-01T12:00:00Z", "2026-07-01 12:00:00"),
        ("Europe/Berlin", "1795521600", "2026-11-24 12:00:00"),
        ("Europe/Berlin", "2026-07-01", "2026-06-30 22:00:00"),
        ("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25 00:30:00"),  # and 01:30
        ("Europe/Berlin", "2026-03-29 02:30:00", None),
        ("Africa/Cairo", "2026-04-24", "2026-04-23 22:00:00"),  # whose midnight is skipped
        ("Pacific/Apia", "2011-12-30", None),
    ],
)
def test_times_without_an_offset_are_of_a_zone(db, zone, given, expected):
    content = f"{HEADER}u,e,{given}\n"
    if expected is None:
        told = str(refusal(db, content, zone=zone))
        assert f"line 2: occurred_at: not there in {zone}" in told and "--timezone" in told
        return
    notes = into(db, content, zone=zone).notes
    assert rows(db, "occurred_at::text") == [(expected,)]
    assert any(f"were read as {zone}" in note for note in notes) == (
        given[-1] not in "Z" and "-" in given
    )
    assert any("there twice" in note for note in notes) == given.startswith("2026-10-25")


SHOP = 'USER_ID,action,ts,E-Mail,amount,,"shop, city"\nu,order,1795521600123,x@y,9.5,7,Ulm\n'


@pytest.mark.parametrize("as_file", [False, True])
def test_names_are_mapped_skipped_or_go_into_properties(db, tmp_path, as_file):
    given = ["user=user id,event=action", "occurred_at=ts", '"platform=shop, city"']
    if as_file:
        (tmp_path / "map").write_text("\n".join(["# ours = theirs", "", *given]))
        given = [f"@{tmp_path}/map"]
    notes = into(db, SHOP, mapping=given, skipped=["email"]).notes
    assert rows(db, "anonymous_user_id, event_name, occurred_at, platform, properties") == [
        ("u", "order", NOON.replace(microsecond=123000), "Ulm", {"amount": "9.5"})
    ]
    assert "properties: 'amount'" in notes[0] and "without a name" in notes[1]
    line = '{"items": [{"sku": 1}], "user": "w", "event": "e", "time": "2026-11-24", "n": null}'
    into(db, f"{line}\n{GOOD}")
    assert ({"items": [{"sku": 1}]},) in rows(db, "properties")


@pytest.mark.parametrize(
    ("mapping", "skipped", "told"),
    [
        (["person=u"], [], "'person' is no column of event_logs: id, event_id, user"),
        (["user"], [], "write user=THEIR_NAME in place of 'user'"),
        (["user=a,user_id=b"], [], "'user_id=b' names a column twice"),
        (["user=a,event=A"], [], "'event=A' names a column twice"),
        (["user=a"], ["A"], "both name a"),
        (["platform=plattform"], [], "not in the file: 'plattform'"),
        ([], ["email"], "not in the file: 'email'"),
        (["time=when"], [], "occurred_at: no such column as 'when', which --map names"),
    ],
)
def test_names_that_fit_nothing_are_told(db, mapping, skipped, told):
    with pytest.raises(Failure, match=re.escape(told)):
        into(db, CSV, mapping=mapping, skipped=skipped)
    assert source.existing_source_tables(db, "public") == []


def test_several_files_are_loaded_together_or_not_at_all(db):
    other = HEADER + "w,a,2026-11-24\n"
    assert refusal(db, CSV, HEADER + "w,a,never\n").problems == [
        "2.csv, line 2: occurred_at: not a time: 'never'"
    ]
    assert refusal(db, CSV, gzip.compress(CSV.encode())).problems == [
        "2.csv, line 2: has no id, and the events up to it are those of 1.csv, line 2"
    ]
    done = into(db, CSV, HEADER, gzip.compress(other.encode()))
    assert done.rows == 2 and "2.csv" in done.notes[0]
    for again in ([other], [LINE], [other, CSV]):
        with pytest.raises(Failure, match="are in event_logs already"):
            into(db, *again)


def test_experiments_come_from_files_of_their_own(db):
    tests = "experiment,status,start_at\nexp_1,running,2026-11-01\n"
    arms = "experiment,variant,is_control,weight\nexp_1,A,yes,50\nexp_1,B,0,50\n"
    people = "user_id,experiment_id,variant_id,time\nu,exp_1,A,2026-11-24T12:00:00Z\n"
    into(db, CSV)
    db.execute("drop table assignments")
    assert "1 rows of assignments" in into(db, people, table="assignments").sentence
    into(db, tests, table="experiments")
    into(db, arms, table="experiment_variants")
    assert db.execute("select anonymous_user_id, assigned_at from assignments").fetchall() == [
        ("u", NOON)
    ]
    query = "select status, start_at, end_at from experiments"
    with pytest.raises(Failure, match="rows of this file are in experiments already"):
        into(db, tests, table="experiments")
    ended = "experiment,status,start_at,end_at\nexp_1,ENDED,2026-11-01,2026-11-24\n"
    into(db, ended, table="experiments", replace=True)
    day = datetime(2026, 11, 1)
    assert db.execute(query).fetchall() == [("ENDED", day, day.replace(day=24))]
    query = "select variant_name, is_control, weight from experiment_variants order by variant_id"
    assert db.execute(query).fetchall() == [("A", True, 50), ("B", False, 50)]
    for table, content, told in [
        ("experiments", tests + "exp_1,ended,\n", "experiment: 'exp_1' is in line 2 too"),
        ("experiments", tests.replace("running", "on"), "status: not DRAFT, RUNNING"),
        ("experiment_variants", arms.replace("yes", "?"), "is_control: not true or false: '?'"),
        ("experiment_variants", arms.replace("0,50", "0,-1"), "weight: not a number from 0"),
        ("assignments", people + "u,exp_1,B,1795521600\n", "'u, exp_1' is in line 2 too"),
        ("assignments", people.replace("time", "time,x"), "unknown column: 'x'"),
    ]:
        with pytest.raises(BadFile, match=re.escape(told)):
            into(db, content, table=table)


@pytest.mark.parametrize("column_type", ["timestamp(3)", "timestamptz"])
def test_times_are_utc_and_ids_fit_whatever_the_session_and_the_columns_are(db, column_type):
    source.create_source_tables(db, "public")
    db.execute(f"alter table event_logs alter occurred_at type {column_type}")
    db.execute("alter table event_logs alter id type uuid using null")
    db.execute("set local time zone 'America/New_York'")
    told = into(db, HEADER + "u,e,2026-11-24T13:00:00+01:00\n").sentence
    assert told.endswith("of 1 users, 2026-11-24T12:00:00.000Z to 2026-11-24T12:00:00.000Z")
    db.execute("set local time zone 'UTC'")
    assert rows(db, "occurred_at::timestamp") == [(NOON,)]


def test_an_export_of_event_logs_comes_back_as_it_was(db):
    into(
        db,
        "id,anonymous_user_id,event_name,timestamp,received_at,session_id,platform,app_version,"
        "experiment_map,properties\n"
        "e1,u1,app_opened,2026-11-24T12:00:00Z,2026-11-24T12:00:05Z,s1,ios,1.2.3,"
        '"{""exp_1"": ""A""}","{""n"": [1, 2.5, null]}"\n',
    )
    columns = "id, anonymous_user_id, event_name, session_id, platform, app_version, occurred_at"
    assert rows(db, f"{columns}, received_at, experiment_map, properties") == [
        (*("e1", "u1", "app_opened", "s1", "ios", "1.2.3"), NOON, NOON.replace(second=5),
         {"exp_1": "A"}, {"n": [1, 2.5, None]})
    ]  # fmt: skip
    db.execute(
        "update event_logs set install_id = 'i', sent_at = '2026-11-24', context = '{\"a\": 1}'"
    )
    before = rows(db, "*")
    for option in ("header", r"null '\N'", "delimiter '|'"):
        query = f"copy event_logs to stdout with (format csv, header, {option})"
        with db.cursor().copy(query.replace("header, header", "header")) as copy:
            exported = b"".join(copy)
        db.execute("truncate event_logs")
        into(db, exported)
        assert rows(db, "*") == before


@pytest.mark.parametrize("empty", ["", "NULL", "null", r"\N"])
def test_what_a_file_leaves_out_is_filled_in(db, empty):
    optional = "id,received_at,session_id,platform,app_version,properties,experiment_map,event_id"
    content = f"{optional},{HEADER}{f'{empty},' * 8}u1,app_opened,2026-11-24T23:30:00-01:00\n"
    assert (into(db, content).rows, into(db, HEADER + "u2,a,2026-11-24\n").rows) == (1, 1)
    columns = "received_at, session_id, platform, app_version, properties, experiment_map, event_id"
    at = datetime(2026, 11, 25, 0, 30)
    filled = (at, "u1:2026-11-25", "unknown", None, {}, None, None)
    assert filled in rows(db, columns)
    assert all(re.fullmatch("[0-9a-f]{32}", key) for (key,) in rows(db, "id"))


def test_values_arrive_as_they_are(db):
    properties = r'{"a": "\\u0000 \u00e9 \ud83c\udfcb", "html": "' + "x" * 140_000 + '"}'
    quoted = properties.replace('"', '""')
    into(db, f'{HEADER[:-1]},properties\n"a ""b"", c\nd\te\\",e,2026-11-24,"{quoted}"\n')
    into(db, GOOD.replace("{", f'{{"user_id": 42, "properties": {properties}, ').replace(
        '"user": "u", ', ""))  # fmt: skip
    assert sorted(rows(db, "anonymous_user_id, properties")) == [
        ("42", json.loads(properties)),
        ('a "b", c\nd\te\\', json.loads(properties)),
    ]


def test_names_that_look_dangerous_are_only_text(db):
    names = ["__proto__", "7", "'; drop table event_logs; --", "\\.", "x" * 5000]
    into(db, HEADER + "".join(f'u,"{name}",2026-11-24\n' for name in names))
    into(db, GOOD.replace('"e"', '"\\\\N"') + GOOD.replace('"e"', '"NULL"'))
    assert {name for (name,) in rows(db, "event_name")} == {*names, "\\N", "NULL"}


@pytest.mark.parametrize("dump", [json.dumps, partial(json.dumps, indent=30)])
@pytest.mark.parametrize("wrap", [list, lambda rows: {"events": rows}])
def test_json_may_be_cut_anywhere_between_two_reads(monkeypatch, dump, wrap):
    properties = {"a": [True, None, -1.5e-7], "b\\": '\u00e9"\\, ]}', "c": {}}
    wanted = [ROW | {"properties": properties} for _ in range(2)]
    text = dump(wrap(wanted))
    rows = [reader().row(tuple(record), record.values(), {""}) for record in wanted]
    for size in range(1, len(text)):
        monkeypatch.setattr(files, "CHUNK", size)
        assert [row for _, row in files.json_records(io.StringIO(text), reader())] == rows


def test_equal_events_without_ids_are_events_of_their_own(db):
    assert into(db, CSV + CSV.removeprefix(HEADER) * 2).rows == 3
    assert into(db, json.dumps([ROW | {"user": "u"}] * 4)).rows == 4
    assert len(rows(db, "id")) == 7


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (CSV.replace("\n", "\r\n"), "of this file are in event_logs already: 1 events"),
        (gzip.compress(LINE.encode()), "of this file are in event_logs already: 1 events"),
        (CSV + "u,e,2026-11-24\n", r"line 2: '[0-9a-f]+' \(1 in all\)"),
    ],
    ids=["the same", "packed", "grown"],
)
def test_events_without_ids_are_refused_when_they_come_again(db, again, told):
    into(db, CSV)
    with pytest.raises(Failure, match=told):
        into(db, again)
    assert len(rows(db, "id")) == 1


def test_a_refused_file_changes_nothing_in_tables_that_exist(db):
    header = "id," + HEADER
    into(db, header + "a,u,e,2026-11-24\n")
    with pytest.raises(Failure, match=r"line 3: 'a' \(1 in all\)"):
        into(db, header + "b,u,e,2026-11-24\na,u,e,2026-11-25\n")
    with pytest.raises(BadFile):
        into(db, HEADER + "u,e,2026-11-25\n" * 7000 + "u,e,never\n")
    assert rows(db, "id, occurred_at") == [("a", datetime(2026, 11, 24))]


def test_a_load_without_a_transaction_is_committed_and_analyzed(shared):
    try:
        shared.row_factory = psycopg.rows.dict_row
        told = []
        into(shared, HEADER + "u,e,2026-11-24\n" * 500, progress=lambda *call: told.append(call))
        assert told[-1] == (len(HEADER) + 8_000 - 500, len(HEADER) + 8_000 - 500)
        assert shared.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        query = "select reltuples from pg_class where oid = 'event_logs'::regclass"
        assert shared.execute(query).fetchone() == {"reltuples": 500}
    finally:
        shared.row_factory = psycopg.rows.tuple_row
        shared.execute(f"drop table {', '.join(source.TABLES)}")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("alter table event_logs drop install_id", r'as \w+: column "install_id" does not'),
        ("alter table event_logs add tenant int not null", 'null value in column "tenant"'),
        ("alter table event_logs alter id type bigint using null", "invalid input syntax for type"),
        ("alter table event_logs rename to raw;"
         "create view event_logs as select distinct * from raw", "cannot insert into view"),
        ("create role loader_guest; grant select on event_logs to loader_guest;"
         "set local role loader_guest", "permission denied for table event_logs"),
    ],
)  # fmt: skip
def test_a_table_that_takes_no_events_is_told_before_the_file_is_read(db, change, told):
    source.create_source_tables(db, "public")
    db.execute(change)
    file = io.BytesIO(CSV.encode())
    with pytest.raises((Failure, psycopg.Error), match=told) as refused:
        load.load(db, "public", streamed(file), reader())
    assert "\n" not in str(refused.value) or "view" in told
    assert file.tell() == 0 or "null value" in told or "invalid" in told


def test_schemas_are_created_and_views_are_loaded_through(db):
    into(db, CSV, schema='my "app"')
    assert source.existing_source_tables(db, "public") == []
    db.execute('create schema apps; alter table "my ""app""".assignments set schema apps')
    for table in ("experiments", "experiment_variants"):
        db.execute(f'alter table "my ""app""".{table} set schema apps')
    db.execute('create view apps.event_logs as select * from "my ""app""".event_logs')
    with pytest.raises(Failure, match="of this file"):
        into(db, CSV, schema="apps")
    into(db, CSV.replace("zoë", "u"), schema="apps")
    assert db.execute('select count(*) from "my ""app""".event_logs').fetchone() == (2,)


def test_a_file_that_grows_or_cannot_be_read_is_told(db):
    class Growing(io.BytesIO):
        def readinto(self, buffer):
            if not (count := super().readinto(buffer)):
                self.write(CSV.encode())
            return count

    class Broken(io.BytesIO):
        def readinto(self, buffer):
            raise OSError(5, "Input/output error")

    for stream, told in [(Growing, "changed while it was read"), (Broken, "Input/output error")]:
        with pytest.raises(Failure, match=told):
            load.load(db, "public", streamed(stream(CSV.encode())), reader())
        assert source.existing_source_tables(db, "public") == []


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        (-13, 0, None),
        (-14, 0, "--from 2026-11-10."),
        (-100, -90, "--from 2026-08-16."),
        (-1000, -998, "--as-of 2024-03-09 --window-days 11."),
        (
            -1000,
            -500,
            "with --as-of for the days before, then with --as-of 2025-07-20 --window-days 180.",
        ),
        (-200, -1, "--as-of 2026-06-05 --window-days 29, then with --from 2026-05-29."),
        (1, 2, "All of these events are in the future"),
    ],
)
def test_events_that_a_run_leaves_out_are_told(first, last, told):
    now = NOON.replace(tzinfo=UTC)
    notes = load.out_of_reach(now + timedelta(first), now + timedelta(last), now)
    assert notes == [] if told is None else told in notes[0]


@pytest.mark.parametrize("embedded", [True, False])
def test_a_database_is_named_and_an_apps_is_loaded_into_only_when_asked(
    cli, database_url, tmp_path, monkeypatch, embedded
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLUP_HOME", "home")
    (tmp_path / "home").mkdir()
    with psycopg.connect(database_url) as conn:
        if embedded:
            (tmp_path / "home/postgres").symlink_to(os.path.realpath(conn.info.host))
        server = f"at {conn.info.host}:{conn.info.port}"
        place = "of the embedded PostgreSQL in home" if embedded else server
        name = f"database {conn.info.dbname} {place}"
        assert database_name(conn) == name
    if not embedded:
        refused = cli("load", __file__)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert f"DATABASE_URL names {name}, " in refused.stderr and "--into-app" in refused.stderr
    command = ["load", "-", *(() if embedded else ["--into-app"])]
    done = CliRunner().invoke(command_line, command, input=CSV)
    assert done.stdout == (
        "Loaded 1 events of 1 users, 2026-11-24T12:00:00.000Z to 2026-11-24T12:00:00.000Z,"
        f" into {name}.\n"
    )
    again = CliRunner().invoke(command_line, command, input=CSV)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "Error: the events of this file are in event_logs already" in again.stderr


def test_a_dry_run_shows_rows_and_needs_no_database(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    (tmp_path / "a.csv").write_text(SHOP)
    names = ["--map", "user=USER_ID,event=action,occurred_at=ts", "--skip", "e-mail"]
    done = cli("load", "--dry-run", *names, tmp_path / "a.csv")
    assert done.exit_code == 0 and re.search(r"occurred_at +2026-11-24T12:00:00.123", done.stdout)
    assert '"shop, city": "Ulm"' in done.stdout and "1 rows can be loaded" in done.stdout
    (tmp_path / "b.csv").write_text(SHOP.replace("order", ""))
    refused = cli("load", "--dry-run", *names, tmp_path / "a.csv", tmp_path / "b.csv")
    assert refused.exit_code == 1 and "b.csv, line 2: event: empty or NULL" in refused.stderr
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(Failure, match="is closed"):
        load.sources(["-"])


@pytest.mark.parametrize("path", ["/nowhere.csv", "/tmp", "/proc/self/mem"])
def test_a_path_without_a_file_is_told(cli, path):
    refused = cli("load", "--into-app", path)
    assert refused.exit_code in (1, 2) and refused.stderr.count("Error: ") == 1


def test_events_beside_those_of_the_demo_are_told(db):
    demo.fill(db, "public", NOON.replace(tzinfo=UTC), users=5, days=2)
    assert [note for note in into(db, CSV).notes if "demo" in note]
    assert not [note for note in into(db, CSV.replace("zoë", "u")).notes if "demo" in note]
