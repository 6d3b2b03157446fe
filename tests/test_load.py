"""Files of events: what is read, what is refused and how, and that nothing is half loaded."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import psycopg
import pytest
from click.testing import CliRunner

from cli import cli as command_line
from dbt_project import source
from dbt_project.database import database_name
from dbt_project.load import ACCEPTED, AlreadyLoaded, BadFile, files
from dbt_project.load import load as load_stream

HEADER = "user,event,occurred_at\n"
NOON = datetime(2026, 11, 24, 12)


@pytest.fixture
def file(tmp_path):
    """Write bytes or text to a file of the given name; return its path."""

    def write(content, name="events.csv"):
        path = tmp_path / name
        path.write_bytes(
            content.encode(errors="surrogateescape") if isinstance(content, str) else content
        )
        return path

    return write


def load(db, schema, path, **options):
    with path.open("rb") as stream:
        return load_stream(db, schema, stream, **options)


def rows(db, columns):
    return db.execute(f"select {columns} from event_logs order by id").fetchall()


def problems(db, path):
    """Load a file that must be refused; return what is wrong, after checking that all is gone."""
    with pytest.raises(BadFile) as refusal:
        load(db, "public", path)
    assert source.existing_source_tables(db, "public") == []
    return refusal.value.problems


def test_csv_with_every_column(db, file):
    path = file(
        "id,anonymous_user_id,event_name,timestamp,received_at,session_id,platform,app_version,"
        "experiment_map,properties\n"
        "e1,u1,app_opened,2026-11-24T12:00:00Z,2026-11-24T12:00:05Z,s1,ios,1.2.3,"
        '"{""exp_1"": ""A""}","{""n"": [1, 2.5, null]}"\n'
    )
    done = load(db, "public", path)
    assert (done.events, done.users) == (1, 1)
    assert done.first_at == done.last_at == NOON.replace(tzinfo=UTC)
    assert rows(db, "id, anonymous_user_id, event_name, session_id, platform, app_version") == [
        ("e1", "u1", "app_opened", "s1", "ios", "1.2.3")
    ]
    assert rows(db, "occurred_at, received_at, experiment_map, properties") == [
        (NOON, NOON.replace(second=5), {"exp_1": "A"}, {"n": [1, 2.5, None]})
    ]


@pytest.mark.parametrize("name", ["events.ndjson", "events.jsonl", "events.txt", "events"])
def test_ndjson(db, file, name):
    lines = [
        {"user_id": 42, "event_name": "a", "time": 1795521600, "experiment_map": {"e": "A"}},
        {"user": "zoë", "event": "b", "timestamp": "2026-11-24T12:00:00Z", "experiment_map": None},
    ]
    load(db, "public", file("\n\n".join(map(json.dumps, lines)), name))
    assert rows(db, "anonymous_user_id, event_name, occurred_at, experiment_map") == [
        ("42", "a", NOON, {"e": "A"}),
        ("zoë", "b", NOON, None),
    ]


def test_what_a_file_leaves_out_is_filled_in(db, file):
    path = file(HEADER + "u1,app_opened,2026-11-24T23:30:00-01:00\n")
    load(db, "public", path)
    columns = "received_at, session_id, platform, app_version, properties, experiment_map"
    at = datetime(2026, 11, 25, 0, 30)
    assert rows(db, columns) == [(at, "u1:2026-11-25", "unknown", None, {}, None)]
    ((key,),) = rows(db, "id")
    assert key.endswith("-2") and len(key) == 66


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T12:00:00Z", NOON),
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
        ("100000000", datetime(1973, 3, 3, 9, 46, 40)),
        ("100000000000", datetime(1973, 3, 3, 9, 46, 40)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1)),
        ("2199-12-31T23:59:59Z", datetime(2199, 12, 31, 23, 59, 59)),
    ],
)
def test_times(db, file, text, expected):
    load(db, "public", file(f"{HEADER}u,e,{text}\n"))
    assert rows(db, "occurred_at") == [(expected,)]


@pytest.mark.parametrize("number", [1795521600, 1795521600.0, 1795521600000, "1795521600"])
def test_times_as_json_numbers(db, file, number):
    line = json.dumps({"user": "u", "event": "e", "occurred_at": number})
    load(db, "public", file(line, "e.ndjson"))
    assert rows(db, "occurred_at") == [(NOON,)]


@pytest.mark.parametrize("column_type", ["timestamp(3)", "timestamptz"])
def test_times_are_utc_whatever_the_session_and_the_column_say(db, file, column_type):
    source.create_source_tables(db, "public")
    db.execute(f"alter table event_logs alter occurred_at type {column_type}")
    db.execute("set time zone 'America/New_York'")
    done = load(db, "public", file(HEADER + "u,e,2026-11-24T13:00:00+01:00\n"))
    assert done.first_at == NOON.replace(tzinfo=UTC)
    db.execute("set time zone 'UTC'")
    assert rows(db, "occurred_at::timestamp") == [(NOON,)]


ROW = {"user": "zoë", "event": "a", "occurred_at": "2026-11-24T12:00:00Z"}
CSV = HEADER + "zoë,a,2026-11-24T12:00:00Z\n"
LINE = json.dumps(ROW, ensure_ascii=False)


@pytest.mark.parametrize(
    "content",
    {
        "no last newline": CSV.rstrip(),
        "BOM of Excel": "\ufeff" + CSV,
        "CRLF": CSV.replace("\n", "\r\n"),
        "CR": CSV.replace("\n", "\r"),
        "blank lines": "\n" + CSV.replace("\n", "\n\n"),
        "quoted header": CSV.replace("user", '"user"'),
        "spaces in the header": CSV.replace(",", " , ", 2),
        "semicolons": CSV.replace(",", ";"),
        "tabs": CSV.replace(",", "\t"),
        "bars": CSV.replace(",", "|"),
        "capitals": CSV.replace(HEADER, "User,Event Name,OCCURRED_AT\n"),
        "camel case": CSV.replace(HEADER, "anonymousUserId,eventName,occurredAt\n"),
        "BOM before NDJSON": "\ufeff" + LINE,
        "camel case in JSON": LINE.replace("user", "userId").replace("occurred_at", "occurredAt"),
        "array": f"[{LINE}]",
        "array in lines": f"\n[{LINE}\n]\n",
        "empty beside it": f"[ {LINE} , ]",
        "pretty array": json.dumps([ROW], indent=4),
        "pretty objects": json.dumps(ROW, indent=40),
        "long indent": "[" + " " * 100_000 + LINE + "\n" * 70_000 + "]",
        "UTF-16 of Excel": CSV.encode("utf-16"),
        "UTF-16, big end first": ("\ufeff" + CSV).encode("utf-16-be"),
        "UTF-32": LINE.encode("utf-32"),
        "gzip": gzip.compress(CSV.encode()),
        "gzip in parts": gzip.compress(CSV[:9].encode()) + gzip.compress(CSV[9:].encode()),
        "bzip2": bz2.compress(CSV.encode("utf-16")),
        "xz": lzma.compress(json.dumps([ROW], indent=1).encode()),
    }.items(),
    ids=lambda item: item[0],
)
@pytest.mark.parametrize("way", ["file", "pipe"])
def test_one_event_however_it_is_written(db, file, content, way):
    content = content[1].encode() if isinstance(content[1], str) else content[1]
    if way == "file":
        load(db, "public", file(content, "noname"))
    else:
        load_stream(db, "public", io.BufferedReader(Pipe(content)))
    assert rows(db, "anonymous_user_id, event_name, occurred_at") == [("zoë", "a", NOON)]


class Pipe(io.RawIOBase):
    """A pipe whose first byte comes alone."""

    def __init__(self, content):
        self.parts = [
            content[:1],
            *(content[at : at + 9000] for at in range(1, len(content), 9000)),
        ]

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self.parts.pop(0) if self.parts else b""
        buffer[: len(part)] = part[: len(buffer)]
        if part[len(buffer) :]:
            self.parts.insert(0, part[len(buffer) :])
        return min(len(part), len(buffer))


@pytest.mark.parametrize("dump", [json.dumps, partial(json.dumps, indent=30)])
def test_json_may_be_cut_anywhere_between_two_reads(monkeypatch, dump):
    properties = {"a": [True, None, -1.5e-7], "b\\": '\u00e9"\\, ]}', "c": {}}
    wanted = [ROW | {"properties": properties} for _ in range(2)]
    text = dump(wanted)
    for size in range(1, len(text)):
        monkeypatch.setattr(files, "CHUNK", size)
        assert [record for _, record in files.json_records(io.StringIO(text), text)] == wanted


def archive(kind):
    """A tar or zip archive with one file in it."""
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as zipped:
            zipped.writestr("events.csv", CSV)
    else:
        with tarfile.open(fileobj=packed, mode=kind) as tar:
            tar.addfile(tarfile.TarInfo("events.csv"), io.BytesIO())
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (archive("zip"), "a ZIP archive or an Excel workbook"),
        (archive("w"), "a tar archive"),
        (archive("w:gz"), "a tar archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x28\xb5\x2f\xfd....", "packed by zstd"),
        (b"PAR1....", "a Parquet file"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"PGDMP....", "a dump of PostgreSQL"),
        (CSV.encode("utf-16-le"), "UTF-16 without a byte order mark"),
    ],
    ids=["zip", "tar", "tar.gz", "7z", "zstd", "parquet", "sqlite", "dump", "utf-16"],
)
def test_other_files_are_named(db, file, content, kind):
    (told,) = problems(db, file(content))
    assert told == (
        f"line 1: this is {kind}; unpack it or export it as CSV, NDJSON or a JSON array, in UTF-8"
    )


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
        (CSV.encode("utf-16")[:-1], ["line 1: damaged: "]),
        (LINE + "\n" + LINE.replace("zoë", "\udcff"), ["line 2: user: invalid UTF-8"]),
        ("", ["line 1: no event in the file"]),
        (HEADER, ["line 1: no event in the file"]),
        ("\n\n", ["line 1: no event in the file"]),
        ("user,event\nu,e\n", ["line 1: occurred_at: no such column (nor time or timestamp)"]),
        ("user,event,time,foo,bar\n", ["line 1: unknown column: 'foo', 'bar'"]),
        ("user,event;time\n", ["line 1: unknown column: 'event;time'"]),
        ("user,event,time,timestamp\n", ["line 1: occurred_at: in more than one column"]),
        ("user,event,time,user\n", ["line 1: user: in more than one column"]),
    ],
)
def test_bad_arrays_and_headers_are_told(db, file, content, told):
    found = problems(db, file(content))
    assert len(found) == len(told) and all(map(str.startswith, found, told))


def test_long_fields_arrive_whole(db, file):
    text = '{"html": "' + "x" * 140_000 + '"}'
    quoted = text.replace('"', '""')
    load(db, "public", file(f'{HEADER[:-1]},properties\nu,e,2026-11-24,"{quoted}"\n'))
    assert rows(db, "properties") == [(json.loads(text),)]


def test_an_apps_database_is_loaded_into_only_when_asked(db, cli, database_url):
    refused = cli("load", __file__)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.count(".") == refused.stderr.count(".\n") == 1
    assert f"DATABASE_URL names database {db.info.dbname} on " in refused.stderr
    assert "--into-app" in refused.stderr
    done = CliRunner().invoke(command_line, ["load", "--into-app", "-"], input=CSV)
    assert done.stdout == (
        "Loaded 1 events of 1 users, 2026-11-24T12:00:00.000Z to 2026-11-24T12:00:00.000Z.\n"
    )
    assert rows(db, "anonymous_user_id") == [("zoë",)]


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("{home}/postgres", "of the embedded PostgreSQL in home"),
        ("{home}/../link", "of the embedded PostgreSQL in home"),
        ("/run/pg", "at /run/pg:5432"),
        ("example.com", "at example.com:5432"),
    ],
)
def test_a_database_is_named(tmp_path, monkeypatch, host, place):
    (tmp_path / "link").symlink_to(tmp_path / "home/postgres")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLUP_HOME", "home")
    info = SimpleNamespace(host=host.format(home=tmp_path / "home"), port=5432, dbname="app")
    assert database_name(SimpleNamespace(info=info)) == f"database app {place}"


def test_an_export_of_event_logs_comes_back_as_it_was(db, file):
    load(db, "public", file("id,experiment_map," + CSV.replace("zoë", 'e1,"{""x"": ""A""}",zoë')))
    db.execute(
        "update event_logs set install_id = 'i', sent_at = '2026-11-24', context = '{\"a\": 1}'"
    )
    before = rows(db, "*")
    with db.cursor().copy("copy event_logs to stdout csv header") as copy:
        exported = b"".join(copy)
    db.execute("truncate event_logs")
    load(db, "public", file(exported))
    assert rows(db, "*") == before


def test_unknown_columns_are_told_with_the_known_ones(db, file):
    with pytest.raises(BadFile) as refusal:
        load(db, "public", file(HEADER[:-1] + ",country,utm_source\nu,e,2026-11-24,DE,x\n"))
    assert str(refusal.value) == f"line 1: unknown column: 'country', 'utm_source'\n{ACCEPTED}"


def test_quoted_fields_keep_commas_quotes_and_newlines(db, file):
    load(db, "public", file(HEADER + '"a ""b"", c\nd\te\\",e,2026-11-24\n'))
    assert rows(db, "anonymous_user_id") == [('a "b", c\nd\te\\',)]


@pytest.mark.parametrize("name", ["e.csv.gz", "e.GZ"])
def test_gzip(db, file, name):
    path = file(gzip.compress((HEADER + "u,e,2026-11-24\n").encode()), name)
    told = []
    assert load(db, "public", path, progress=lambda *call: told.append(call)).events == 1
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


def test_names_that_look_dangerous_are_only_text(db, file):
    names = ["__proto__", "7", "'; drop table event_logs; --", "\\N", "\\.", "x" * 5000]
    load(db, "public", file(HEADER + "".join(f'u,"{name}",2026-11-24\n' for name in names)))
    assert sorted(name for (name,) in rows(db, "event_name")) == sorted(names)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("u,e,yesterday", "occurred_at: not a time: 'yesterday'"),
        ("u,e,2026-13-01", "occurred_at: not a time: '2026-13-01'"),
        ("u,e,20261124", "occurred_at: not a time: '20261124'"),
        ("u,e,0", "occurred_at: not a time: '0'"),
        ("u,e,-1795521600", "occurred_at: year out of range: '-1795521600'"),
        ("u,e,50000000000", "occurred_at: not a time: '50000000000'"),
        ("u,e,nan", "occurred_at: not a time: 'nan'"),
        ("u,e,202611243120000", "occurred_at: year out of range: '202611243120000'"),
        ("u,e,1795521600123456", "occurred_at: not a time: '1795521600123456'"),
        ("u,e," + "9" * 400, "occurred_at: not a time: '9999"),
        ("u,e,1969-12-31", "occurred_at: year out of range: '1969-12-31'"),
        ("u,e,9999-12-31T23:59:59-05:00", "occurred_at: year out of range"),
        ("u,e,0001-01-01T00:00:00+05:00", "occurred_at: year out of range"),
        ("u,e,", "occurred_at: empty"),
        (",e,2026-11-24", "user: empty"),
        ("u,  ,2026-11-24", "event: empty"),
        ("u\0,e,2026-11-24", r"user: NUL character: 'u\x00'"),
        ("u,e", "2 fields, but the header has 3"),
        ("u,e,2026-11-24,x", "4 fields, but the header has 3"),
        (b"caf\xe9,e,2026-11-24", r"user: invalid UTF-8: 'caf\udce9'"),
        ('"u"x,e,2026-11-24', "broken CSV: ',' expected after '\"'"),
        ('"u,e,2026-11-24', "broken CSV: unexpected end of data"),
    ],
)
def test_bad_csv_lines_are_told(db, file, line, problem):
    line = line if isinstance(line, bytes) else line.encode()
    content = HEADER.encode() + b"u,e,2026-11-24\n\n" + line + b"\n"
    (told,) = problems(db, file(content))
    assert told.startswith(f"line 4: {problem}")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("{", "Invalid JSON: EOF while parsing"),
        ("[1]", "not a JSON object: [1]"),
        ('"A"', "not a JSON object: 'A'"),
        ('{"a": NaN}', "broken JSON: NaN is not a JSON number"),
        (r'{"a": "\u0000"}', "NUL character"),
        (r'{"\u0000": "A"}', "NUL character"),
        (r'{"a": "\ud800"}', "Invalid JSON: "),
        ('{"a": ' * 3000 + "1" + "}" * 3000, "Invalid JSON: recursion limit"),
    ],
)
@pytest.mark.parametrize("column", ["experiment_map", "properties"])
def test_bad_json_in_a_csv_field_is_told(db, file, column, value, problem):
    quoted = value.replace('"', '""')
    content = f'user,event,occurred_at,{column}\nu,e,2026-11-24,"{quoted}"\n'
    (told,) = problems(db, file(content))
    assert told.startswith("line 2: ") and problem in told
    assert len(told) < 200


def test_json_that_only_looks_dangerous_is_kept(db, file):
    value = r'{"a": "\\u0000 \u00e9 \ud83c\udfcb"}'
    line = f'{{"user": "u", "event": "e", "occurred_at": "2026-11-24", "properties": {value}}}'
    load(db, "public", file(line, "e.ndjson"))
    assert rows(db, "properties") == [(json.loads(value),)]


GOOD = '{"user": "u", "event": "e", "occurred_at": "2026-11-24"}\n'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"user": "u", ', "broken JSON: "),
        ("user,event", "broken JSON: Expecting value at character 1"),
        ("[]", "not a JSON object: []"),
        ("[" * 5000, "broken JSON: nested too deeply"),
        (GOOD.replace('"u"', "[1]"), "user: not a text: [1]"),
        (GOOD.replace('"u"', "true"), "user: not a text: True"),
        (GOOD.replace('"u"', "null"), "user: empty"),
        (GOOD.replace('"u"', r'"\ud800"'), "user: invalid UTF-8"),
        (GOOD.replace('"u"', r'"\u0000"'), "user: NUL character"),
        (GOOD.replace('"2026-11-24"', "true"), "occurred_at: not a time: True"),
        (GOOD.replace('"2026-11-24"', "1e999"), "occurred_at: not a time: inf"),
        (GOOD.replace('"2026-11-24"', "{}"), "occurred_at: not a time: {}"),
        ('{"user": "u", "event": "e"}', "occurred_at: no such column (nor time or timestamp)"),
        (GOOD.replace("{", '{"colour": 1, '), "unknown column: 'colour'"),
        (GOOD.replace("{", '{"user_id": 1, '), "user: in more than one column"),
        (GOOD.replace("{", '{"experiment_map": ["A"], '), "experiment_map: not a JSON object"),
        (GOOD.replace("{", r'{"properties": {"a": "\ud800"}, '), "properties: invalid UTF-8"),
        (GOOD.replace("{", r'{"properties": {"a": "\u0000"}, '), "properties: NUL character"),
        (GOOD.replace("{", '{"properties": {"a": 1e999}, '), "properties: Out of range float"),
        (GOOD.replace("{", '{"properties": {"a": NaN}, '), "broken JSON: NaN is not a JSON number"),
    ],
)
def test_bad_ndjson_lines_are_told(db, file, line, problem):
    (told,) = problems(db, file(f"{GOOD}\n{line.strip()}\n{GOOD}", "e.ndjson"))
    assert told.startswith(f"line 3: {problem}")


def test_a_value_too_long_for_the_reader_is_told(db, file, request):
    request.addfinalizer(partial(csv.field_size_limit, csv.field_size_limit(1000)))
    content = HEADER + f"{'u' * 1001},e,2026-11-24\nu,e,never\n"
    told = problems(db, file(content))
    assert told[0].startswith("line 2: broken CSV: field larger")
    assert told[1] == "line 3: occurred_at: not a time: 'never'"


def test_a_value_too_long_for_the_index_is_told(db, file):
    noise = "".join(chr(0x4E00 + (i * 7919) % 20_000) for i in range(6_000))
    content = f"{HEADER}u,e,2026-11-24\nu,{noise},2026-11-24\n"
    (told,) = problems(db, file(content))
    assert told == "line 3: a user, event, id or session too long for an index"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_damaged_files_are_told(db, file, pack):
    packed = pack((HEADER + "u,e,2026-11-24\n").encode())
    for broken in (packed[:20], packed[:-4], packed[:16] + b"????" + packed[20:]):
        (told,) = problems(db, file(broken))
        assert told.startswith("line 1: damaged: ")


def test_line_numbers_count_the_lines_of_the_file(db, file):
    content = HEADER + '"two\nlines",e,2026-11-24\n\nu,e,never\n"also\ntwo",e,never\n'
    told = problems(db, file(content))
    assert [problem.split(":")[0] for problem in told] == ["line 5", "line 6"]


def test_twenty_problems_are_shown_and_the_rest_counted(db, file):
    path = file(HEADER + "u,e,2026-11-24\n" + "u,e,never\n" * 33)
    with pytest.raises(BadFile) as refusal:
        load(db, "public", path)
    assert len(refusal.value.problems) == 20 and refusal.value.total == 33
    assert str(refusal.value).endswith("line 22: occurred_at: not a time: 'never'\nand 13 more")


def test_a_bad_file_changes_nothing_in_tables_that_exist(db, file):
    load(db, "public", file(HEADER + "u,e,2026-11-24\n"))
    db.commit()
    with pytest.raises(BadFile):
        load(db, "public", file(HEADER + "u,e,2026-11-25\n" * 7000 + "u,e,never\n", "bad.csv"))
    assert rows(db, "occurred_at") == [(datetime(2026, 11, 24),)]


def test_the_same_id_twice_in_a_file_is_told(db, file):
    lines = "".join(f"{key},u,e,2026-11-24\n" for key in ("a", "b", "a", "", "a", "b"))
    assert problems(db, file("id," + HEADER + lines)) == [
        "line 4: id: 'a' is the id of line 2 too",
        "line 6: id: 'a' is the id of line 2 too",
        "line 7: id: 'b' is the id of line 3 too",
    ]


def test_many_ids_twice_are_counted(db, file):
    lines = "".join(f"{key % 50},u,e,2026-11-24\n" for key in range(100))
    with pytest.raises(BadFile) as refusal:
        load(db, "public", file("id," + HEADER + lines))
    assert len(refusal.value.problems) == 20 and refusal.value.total == 50


def test_equal_lines_without_ids_are_events_of_their_own(db, file):
    assert load(db, "public", file(HEADER + "u,e,2026-11-24\n" * 3)).events == 3


@pytest.mark.parametrize("packed", [False, True], ids=["as-it-was", "gzipped"])
def test_the_same_file_twice_is_refused(db, file, packed):
    content = (HEADER + "u,e,2026-11-24\nv,e,2026-11-24\n").encode()
    load(db, "public", file(content))
    again = file(gzip.compress(content), "copy.csv.gz") if packed else file(content, "copy.csv")
    with pytest.raises(AlreadyLoaded, match=r"this very file .* 2 events"):
        load(db, "public", again)
    assert len(rows(db, "id")) == 2


def test_ids_that_exist_are_refused(db, file):
    header = "id," + HEADER
    load(db, "public", file(header + "a,u,e,2026-11-24\n"))
    with pytest.raises(AlreadyLoaded, match=r"line 3: 'a' \(1 in all\)"):
        load(db, "public", file(header + "b,u,e,2026-11-24\na,u,e,2026-11-25\n", "new.csv"))
    assert rows(db, "id") == [("a",)]


def test_two_files_in_one_transaction(db, file):
    with db.transaction():
        load(db, "public", file(HEADER + "u,e,2026-11-24\n"))
        load(db, "public", file(HEADER + "u,e,2026-11-25\n"))
    assert len(rows(db, "id")) == 2


def test_is_committed_when_no_transaction_was_open(db, file):
    load(db, "public", file(HEADER + "u,e,2026-11-24\n"))
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_source_with_missing_tables_is_refused(db, file):
    db.execute("create table event_logs (id text)")
    with pytest.raises(source.SourceIncomplete, match="assignments, experiments, experiment_var"):
        load(db, "public", file(HEADER + "u,e,2026-11-24\n"))


def test_schema_is_created_and_quoted(db, file):
    load(db, 'my "app"', file(HEADER + "u,e,2026-11-24\n"))
    assert db.execute('select count(*) from "my ""app""".event_logs').fetchone() == (1,)
    assert source.existing_source_tables(db, "public") == []


def test_the_table_is_analyzed(db, file):
    load(db, "public", file(HEADER + "u,e,2026-11-24\n" * 500))
    query = "select reltuples from pg_class where oid = 'event_logs'::regclass"
    assert db.execute(query).fetchone() == (500,)


def test_rows_come_back_right_with_another_row_factory(db, file):
    db.row_factory = psycopg.rows.dict_row
    assert load(db, "public", file(HEADER + "u,e,2026-11-24\n")).events == 1


def test_a_file_that_is_not_there(db, tmp_path):
    with pytest.raises(FileNotFoundError):
        load(db, "public", tmp_path / "none.csv")
