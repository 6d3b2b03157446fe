"""Rows made to break a run, the SQL or the API."""

import csv
import io
import json
import re

import pytest
from api_answers import raw_answers
from hostile import Hostile
from source_shapes import nullable, with_json
from tables import NOW, TODAY, differences, expected, image, stored

from dbt_project.source import TABLES

MEGABYTE = 1_000_000


def csv_rows(text):
    before = csv.field_size_limit(100 * MEGABYTE)  # a setting of the whole process
    try:
        return len(list(csv.reader(io.StringIO(text, newline="")))) - 1
    finally:
        csv.field_size_limit(before)


def served(database_url, source, wanted):
    """Assert that the API has every row that the run should have made."""
    answers = raw_answers(database_url, NOW)
    days = json.loads(answers["daily.json"])["days"]
    names = {str(day): set() for day, *_ in wanted.daily}
    for (day, metric, _), (_, dimensions, _) in wanted.daily.items():
        if metric == "event_volume_by_name":
            names[str(day)].add(dimensions["event_name"])
    assert {
        day["day"]: set(day["metrics"].get("event_volume_by_name", ())) for day in days
    } == names
    assert len(json.loads(answers["funnels.json"])["rows"]) == len(wanted.funnel)
    found = json.loads(answers["experiments.json"])["experiments"]
    assert sum(len(experiment["series"]) for experiment in found) == len(wanted.experiment)
    ids = {row["experiment_id"] for row in source.rows().experiments} - {None}
    assert len(found) == len(ids)
    assert json.loads(answers["summary.json"])["metrics"]
    for name in ("daily", "funnel", "experiment"):
        path = name if name == "daily" else f"{name}s"
        assert csv_rows(answers[f"{path}.csv"]) == len(getattr(wanted, name))


@pytest.mark.parametrize(
    ("seed", "events"),
    [(0, 300), *(pytest.param(seed, 3_000, marks=pytest.mark.chaos) for seed in range(1, 21))],
)
def test_made_up_rows_are_counted_and_served(source, run, database_url, seed, events):
    nullable(source, *TABLES)
    # The indexes on the name and the user would refuse the longest ones.
    source.do("drop index event_logs_event_name_idx, event_logs_anonymous_user_id_idx")
    Hostile(seed).fill(source, events)
    before = source.conn.execute("select count(*) from event_logs").fetchone()
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout
    wanted = expected(source.rows(), NOW, 14)
    assert differences(stored(source.conn), wanted) == []
    served(database_url, source, wanted)
    tables = image(source.conn, but="computed_at")
    assert run().exit_code == 0
    assert image(source.conn, but="computed_at") == tables
    assert source.conn.execute("select count(*) from event_logs").fetchone() == before


@pytest.mark.chaos
def test_names_of_a_megabyte_everywhere(source, run, database_url):
    nullable(source, *TABLES)
    source.do("drop index event_logs_event_name_idx, event_logs_anonymous_user_id_idx")
    long = [letter * MEGABYTE for letter in "ab"] + ["🏋" * (MEGABYTE // 4)]
    for name in long:
        source.event(NOW, name, name, mapping={name: name, f"{name}!": "A"})
        source.event(NOW, "app_opened", name, mapping={name: name})
        source.experiment(name, (name, "A"))
        source.assign(name, name, name)
    wanted = expected(source.rows(), NOW, 14)
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout
    assert differences(stored(source.conn), wanted) == []
    served(database_url, source, wanted)


def test_ids_that_no_index_holds_are_shortened_and_stay_apart(source, run, database_url):
    nullable(source, "assignments", "experiments", "experiment_variants")
    source.event(NOW, user="u")
    noise = "".join(map(str, Hostile(1).random.choices(range(10**9), k=900)))
    long = [noise[:2_690], noise[:2_691], noise[:1_201], "é" * 600, "é" * 601]
    for name in long:
        source.experiment(name, long)
        source.assign("u", name, name)
    # An id made to look like the shortened form of another.
    shortened = next(key for key in expected(source.rows(), NOW, 1).experiment)[1]
    source.experiment(shortened, (shortened,))
    wanted = expected(source.rows(), NOW, 14)
    assert {len(key[1]) for key in wanted.experiment} == {245, 600}
    assert len({key[1] for key in wanted.experiment}) == 6
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout
    assert differences(stored(source.conn), wanted) == []
    served(database_url, source, wanted)


HELD = {
    r'{"x": "A"}': "A",
    r'{"x": "B", "x": "A"}': "A",
    r'{"x": "\\u0000"}': "\\u0000",
    r'{"x": "\\\\u0000"}': "\\\\u0000",
    r'{"x": "\ud83d\ude00"}': "😀",
    r'{"x": "5e99999"}': "5e99999",
    r'{"x": "\"5e99999"}': '"5e99999',
    r'{"x": 1e3}': "1000",
    r'{ "x" :  "A" }': "A",
}
REFUSED = (
    r'{"x": "\u0000"}', r'{"\u0000": "A"}', r'{"x": "\\\u0000"}', r'{"x": "\ud83d"}',
    r'{"x": "\ude00\ud83d"}', r'{"x": "\ud83d\ud83d\ude00\ude00"}', r'{"x": 1e999999}',
    r'{"x": ["\"", 1e-999999]}', '{"x": ' + "9" * 140_000 + "}",
)  # fmt: skip


def test_json_that_jsonb_refuses_names_no_variant(source, run, database_url):
    nullable(source, "event_logs", "experiments", "experiment_variants")
    with_json(source)
    for text in (*HELD, *REFUSED):
        source.event(NOW)
        source.do(
            "update event_logs set experiment_map = %s::json where experiment_map is null", text
        )
    source.experiment("x")
    source.do("update experiments set targeting = %s::json", REFUSED[0])
    outcome = run()
    assert outcome.exit_code == 0, outcome.stdout
    opened = {key[3]: row for key, row in stored(source.conn).funnel.items()
              if key[0] == TODAY and key[2] == "active_open"}  # fmt: skip
    assert opened.pop("overall")[3] == len(HELD) + len(REFUSED)
    assert {row[1] for row in opened.values()} == set(HELD.values())
    assert sum(row[3] for row in opened.values()) == len(HELD)
    raw = raw_answers(database_url, NOW)["experiments.json"]
    assert json.loads(raw)["experiments"][0]["targeting"] is None


@pytest.mark.chaos
def test_no_row_is_ever_part_of_the_sql(source, run, tmp_path, monkeypatch):
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path))
    marks = [f"mark{n}y" for n in range(5)]
    source.event(NOW, marks[0], marks[1], mapping={marks[2]: marks[3]})
    source.experiment(marks[2], (marks[3], marks[4]))
    source.assign(marks[1], marks[2], marks[3])
    assert run().exit_code == 0
    compiled = [path.read_text() for path in tmp_path.rglob("*.sql")]
    assert len(compiled) > 10
    assert not [text for text in compiled if re.search(r"mark\dy", text)]
