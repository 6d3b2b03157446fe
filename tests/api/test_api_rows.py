"""Unusual rows and names, missing and foreign tables, CSV, and the reader's role."""

import csv
import io
import json
import re
from urllib.parse import quote
from zoneinfo import ZoneInfo

import psycopg
import pytest
from api_helpers import exact, fetch, is_error
from psycopg import sql
from psycopg.types.json import Jsonb

from api import queries
from api.static_files import FILES

PATHS = [f"/v1/metrics/{name}" for name in ("daily", "experiments", "funnels", "summary")]
PATHS += ["/v1/metrics/readouts"]
KEYS = ["days", "experiments", "rows", "metrics", "experiments"]
NEW = [f"/v1/metrics/{name}" for name in ("conversions", "retention", "active", "dimensions")]
PATHS += NEW
KEYS += ["rows"] * len(NEW)

# As JavaScript prints them.
NUMBERS = {
    "12": "12", "0": "0", "-0": "0", "-3": "-3", "0.1": "0.1",
    "0.30000000000000004": "0.30000000000000004", "0.1536585365853659": "0.1536585365853659",
    "1e15": "1000000000000000", "9007199254740993": "9007199254740992",
    "123456789012345678": "123456789012345680", "123456789012345680000": "123456789012345680000",
    "1e20": "100000000000000000000", "1e21": "1e+21", "1.5e300": "1.5e+300", "0.0001": "0.0001",
    "0.00001": "0.00001", "0.0000015": "0.0000015", "1e-7": "1e-7", "2.5e-10": "2.5e-10",
    "999999999999999.9": "999999999999999.9", "NaN": "null", "Infinity": "null",
    "-Infinity": "null",
}  # fmt: skip


@pytest.fixture
def client(api_client, api_copy):
    return api_client(api_copy.info.dsn)


@pytest.mark.parametrize(("stored", "printed"), NUMBERS.items())
def test_numbers_print_as_in_javascript(api_conninfo, stored, printed):
    macro = queries.environment("analytics").globals["js_number"]
    with psycopg.connect(api_conninfo) as conn:
        number = macro(f"float8 '{stored}'")
        assert conn.execute(f"select cast({number} as text)").fetchone() == (printed,)


def test_responses_print_numbers_as_in_javascript(client, api_copy):
    api_copy.execute("update analytics.daily_metric_rollups set value = 1e15")
    api_copy.execute("update analytics.experiment_metric_rollups set value = 1e20")
    for path, printed in (
        (PATHS[0], '"dau":1000000000000000,'),
        (PATHS[1], '"users_assigned":100000000000000000000}'),
        (PATHS[1], '"value":100000000000000000000,'),
        (f"{PATHS[3]}?window_days=3", '"value":3000000000000000,'),
        (PATHS[3], '"value":100000000000000000000,'),
    ):
        assert printed in fetch(client, path).text.replace(" ", "")


NAMES = ["__proto__", "7", "10", "a b", 'quo"te', "back\\slash", "tab\tnew\nline", "é", "日本", "🏋",
         "Z", "a", "overall", "constructor", "%s", "%(start)s", "{}", "x" * 5000]  # fmt: skip


def test_event_names_are_plain_keys_in_byte_order(client, api_copy):
    rows = [(name, json.dumps({"event_name": name, "day": "2026-11-23"})) for name in NAMES]
    api_copy.execute("delete from analytics.daily_metric_rollups where dimension_key <> 'overall'")
    api_copy.cursor().executemany(
        "insert into analytics.daily_metric_rollups"
        " values ('2026-11-23', 'event_volume_by_name', left(%s, 150), 3, %s, true, now())",
        rows,
    )
    text = fetch(client, f"{PATHS[0]}?window_days=1").text
    metrics = dict(dict(exact(text))["days"][0])["metrics"]
    volumes = dict(metrics)["event_volume_by_name"]
    assert [name for name, _ in volumes] == sorted(NAMES, key=str.encode)
    assert {value for _, value in volumes} == {"3"}


def test_ids_are_plain_text_in_byte_order(client, api_copy):
    api_copy.execute("""
        update analytics.experiment_catalog set
            status = null, start_at = 'infinity', targeting = '{"b": [null, 1.50], "a": "\\"x"}'
        where experiment_id = 'exp_2';
        insert into analytics.experiment_catalog (experiment_id, variants, computed_at)
        select name, '[]', now() from unnest(array['exp_10', 'Exp', '__proto__', 'é', '7']) as name;
        insert into analytics.experiment_metric_rollups
        select day, experiment_id, name, metric_name, value, dimensions, is_final, now()
        from analytics.experiment_metric_rollups, unnest(array['__proto__', '2', 'a']) as name
        where variant_id = 'A';
    """)
    body = fetch(client, PATHS[1]).json
    ids = [experiment["experiment_id"] for experiment in body["experiments"]]
    assert ids == ["7", "Exp", "__proto__", "exp_1", "exp_10", "exp_2", "é"]
    assert list(body["experiments"][3]["latest_metrics_by_variant"]) == [
        "2", "A", "B", "__proto__", "a"
    ]  # fmt: skip
    second = body["experiments"][5]
    assert (second["status"], second["start_at"]) == (None, None)
    assert second["targeting"] == {"b": [None, 1.5], "a": '"x'}
    keys = [(p["day"], p["variant_id"], p["metric_name"]) for p in body["experiments"][3]["series"]]
    assert keys == sorted(keys)


def test_conversion_is_null_without_a_step_to_compare_with(client, api_copy):
    api_copy.execute("""
        delete from analytics.funnel_rollups;
        insert into analytics.funnel_rollups
        values
            ('2026-11-23', 'core_journey', 'active_open', 'x:A', 'x', 'A', 4, 9, true, now()),
            ('2026-11-23', 'core_journey', 'workout_engaged', 'x:A', 'x', 'A', 2, 2, true, now()),
            ('2026-11-23', 'core_journey', 'session_submitted', 'x:A', 'x', 'A', 3, 3, true, now()),
            ('2026-11-23', 'core_journey', 'workout_engaged', 'x:B', 'x', 'B', 1, 1, true, now()),
            ('2026-11-23', 'core_journey', 'retired', 'x:A', 'x', 'A', 1, 1, true, now()),
            ('2026-11-23', 'other', 'active_open', 'x:A', 'x', 'A', 1, 1, true, now())
    """)
    columns = (
        "step_name",
        "variant_id",
        "step",
        "conversion_from_previous",
        "conversion_from_first",
    )
    rows = fetch(client, PATHS[2]).json["rows"]
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("active_open", "A", 1, None, 1),
        ("retired", "A", None, None, 0.25),
        ("session_submitted", "A", 4, None, 0.75),
        ("workout_engaged", "A", 2, 0.5, 0.5),
        ("workout_engaged", "B", 2, None, None),
        ("active_open", "A", None, None, None),
    ]


def test_rows_outside_the_window_are_not_returned(client, api_copy):
    for table in ("daily_metric_rollups", "experiment_metric_rollups", "funnel_rollups"):
        api_copy.execute(f"update analytics.{table} set day = day + 3")
    for path, key in zip(PATHS[:3], KEYS, strict=False):
        body = fetch(client, path).json
        assert body["no_data"] is True
        if key != "experiments":
            assert body[key] == []
    assert [e["series"] for e in fetch(client, PATHS[1]).json["experiments"]] == [[], []]
    assert fetch(client, PATHS[3]).json["metrics"] == []


def test_deleted_experiment_is_not_in_the_summary(client, api_copy):
    api_copy.execute("delete from analytics.experiment_catalog")
    assert len(fetch(client, PATHS[3]).json["metrics"]) == 5
    assert fetch(client, PATHS[1]).json["no_data"] is True


def test_before_the_first_run_responses_are_empty(api_client, lasting_database):
    client = api_client(lasting_database())
    for path, key in zip(PATHS, KEYS, strict=True):
        response = fetch(client, path)
        assert response.status_code == 200 and "ETag" not in response.headers
        assert response.json[key] == [] and response.json["data_as_of"] is None
        assert response.json.get("no_data", True) is True
        assert path == PATHS[3] or fetch(client, f"{path}?format=csv").text == ""
    assert fetch(client, "/v1/runs").json["runs"] == []
    jobs = fetch(client, "/ready").json["jobs"]
    assert [(job["job_name"], job["age_seconds"]) for job in jobs] == [
        ("daily", None), ("experiment", None), ("funnel", None), ("retention", None)
    ]  # fmt: skip


def test_job_that_never_ran_gives_empty_responses(client, api_copy):
    api_copy.execute(
        "drop table analytics.experiment_metric_rollups, analytics.experiment_catalog,"
        " analytics.funnel_rollups; delete from analytics.rollup_runs where job_name <> 'daily'"
    )
    summary = fetch(client, PATHS[3]).json
    assert len(summary["metrics"]) == 5 and summary["data_as_of"]
    for path, key in zip(PATHS[1:3], KEYS[1:], strict=False):
        assert (fetch(client, path).json[key], fetch(client, f"{path}?format=csv").text) == ([], "")


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ("drop table experiment_readouts, experiment_health, experiment_statistics", [PATHS[4]]),
        ("drop table funnel_conversion_rollups, daily_dimension_rollups, retention_rollups,"
         " active_user_rollups; delete from rollup_runs where job_name = 'retention';"
         " alter table funnel_steps drop conversion_window_hours", NEW),
        # The first run of this version is still on its way, or failed.
        ("drop table experiment_readouts; update experiment_health set computed_at = now();"
         " update experiment_statistics set computed_at = now()", [PATHS[4]]),
        ("drop table funnel_conversion_rollups;"
         " update daily_dimension_rollups set computed_at = now()", NEW[:1]),
    ],
)  # fmt: skip
def test_new_answers_are_empty_until_a_run_of_this_version(client, api_copy, change, paths):
    api_copy.execute(f"set search_path to analytics; {change}")
    for path in paths:
        response = fetch(client, path)
        assert response.json[KEYS[PATHS.index(path)]] == [] and response.json["no_data"] is True
        assert fetch(client, f"{path}?format=csv").text == "" and "ETag" not in response.headers
    assert [fetch(client, path).status_code for path in PATHS] == [200] * len(PATHS)
    steps = fetch(client, NEW[0]).json["steps"]
    assert [(step["step"], step["conversion_window_hours"]) for step in steps] == [
        (number, 168) for number in range(1, 6)
    ]


# What the answer says of a metric, of a variant and of an experiment's health, in its order.
METRIC = {
    "metric_name": "M", "measure": "count", "role": "goal", "desired": "decrease",
    "event_name": "a|b", "denominator_event_name": None, "delay_hours": 0.5, "window_hours": 168,
    "cap": 100,
}  # fmt: skip
READOUT = {
    "variant_id": "=b", "control_variant_id": "A", "users": 9007199254740993, "control_users": 40,
    "value": 10**15, "control_value": 0.1, "difference": -0.5, "difference_low": -1e-7,
    "difference_high": 1e21, "p_value": 2e-300, "lift": 12, "lift_low": 0.5,
    "lift_high": 0.30000000000000004, "lift_always_low": -0.25, "lift_always_high": 0.125,
    "p_always": 1, "cuped_lift": 0.0001, "cuped_lift_low": 0.00001, "cuped_lift_high": 3,
    "variance_reduction": 0, "p_holm": 0.05, "chance_to_win": 0.975, "mde": 7.5,
    "users_to_detect": 10**17, "first_day": "2026-11-01", "last_day": "2026-11-09",
    "cohort_days": 8, "status": "ok", "verdict": "better",
}  # fmt: skip
NO_TEST = dict.fromkeys(READOUT) | {
    "variant_id": "B", "users": 0, "cohort_days": 0, "status": "too_few", "verdict": "wait"
}  # fmt: skip
HEALTH = {
    "control_variant_id": "A", "users": 80, "variants": [
        {"variant_id": "A", "users": 80, "crossover_users": 1, "weight": 1.5,
         "expected_share": 1, "share": 1},
        {"variant_id": "a", "users": 0, "crossover_users": 0, "weight": None,
         "expected_share": None, "share": None},
    ],
    "srm_chi2": 26.666666666666668, "srm_df": 1, "srm_p": 2.4e-7, "srm": "mismatch",
    "crossover_users": 1, "crossover_share": 0.0123, "crossover": "warn",
    "pre_difference_p": None, "pre_difference": "ok", "covers_from": "2026-11-10",
    "complete_from": "2026-10-01", "is_complete": False,
    "notes": [
        "The users are not split as the weights say. This alarm is false if the weights changed"
        " during the experiment.",
        "Not every exposed user is counted: the stored days begin on 2026-11-10."
        " Run `python cli.py --job experiment --from 2026-10-01` to add the missing days.",
    ],
}  # fmt: skip
BARE = HEALTH | {
    "control_variant_id": None, "users": 0, "variants": [], "srm": "too_few", "covers_from": None,
    "complete_from": None, "notes": [
        "Not every exposed user is counted: no day is stored yet."
        " The missing days are too old to be computed."
    ],
}  # fmt: skip
DONE = BARE | {"is_complete": True, "notes": []}
STATUSES = ("no_control", "too_few", "zero_denominator", "zero_control", "zero_variance")
ODD = "a:\"%s'"
# health and metrics by experiment
DECIDED = {
    ODD: (
        HEALTH,
        [
            METRIC | {"variants": [READOUT, READOUT | {"variant_id": "B", "verdict": "worse"}]},
            METRIC | {"metric_name": "m", "variants": [READOUT]},
        ],
    ),
    "bare": (BARE, []),
    "draft": (None, []),
    "none": (
        DONE,
        [
            METRIC | {"metric_name": status, "cap": None}
            | {"variants": [NO_TEST | {"status": status}]}
            for status in sorted(STATUSES)
        ],
    ),
}  # fmt: skip


@pytest.fixture
def decided(api_copy):
    """Make the tables say what DECIDED does, last things first."""

    def insert(table, experiment_id, row):
        query = (
            f"insert into {table} select * from jsonb_populate_record(cast(null as {table}), %s)"
        )
        about = {"experiment_id": experiment_id, "computed_at": "2026-11-23T12:00:00.5Z"}
        api_copy.execute(query, [Jsonb(row | about)])

    api_copy.execute("set search_path to analytics")
    api_copy.execute("truncate experiment_catalog, experiment_readouts, experiment_health")
    for name, (health, metrics) in reversed(DECIDED.items()):
        times = {"start_at": "2026-11-01T06:07:08.009Z", "end_at": "infinity"}
        insert("experiment_catalog", name, {"status": name, "variants": [], **times})
        if health:
            insert("experiment_health", name, health)
        for metric in reversed(metrics):
            for variant in reversed(metric["variants"]):
                insert("experiment_readouts", name, metric | variant)


def test_readouts_say_what_their_tables_do(client, decided):
    response = fetch(client, PATHS[4])
    expected = [
        {"experiment_id": name, "status": name, "start_at": "2026-11-01T06:07:08.009Z"}
        | {"end_at": None, "health": health, "metrics": metrics}
        for name, (health, metrics) in DECIDED.items()
    ]
    assert json.dumps(response.json["experiments"]) == json.dumps(expected)
    assert response.json["no_data"] is False
    for name in DECIDED:
        only = fetch(client, f"{PATHS[4]}?experiment_id={quote(name)}").json
        assert only["experiments"] == [one for one in expected if one["experiment_id"] == name]
        assert only["no_data"] == (name != ODD)


def dicts(names, *rows):
    return [dict(zip(names.split(), row, strict=True)) for row in rows]


# What the new endpoints say of a table, in their order, within the window of seven days.
SERVED = {
    "funnel_conversion_rollups": dicts(
        "day funnel_name step step_name dimension_key users_count median_seconds"
        " conversion_from_previous conversion_from_first is_final",
        ("2026-11-17", "B", 1, "z", "overall", 0, None, None, None, True),
        ("2026-11-17", "B", 2, "a", "overall", 0, None, None, None, True),
        ("2026-11-17", "a", 1, "z", "exp=1:A", 4, 0, None, 1, True),
        ("2026-11-17", "a", 3, "y", "exp=1:A", 1, 10**15, None, 0.25, True),
        ("2026-11-17", "a", 1, "z", "platform=ios", 8, 0, None, 1, False),
        ("2026-11-17", "a", 2, "=a", "platform=ios", 6, 2.5, 0.75, 0.75, False),
        ("2026-11-17", "a", 3, "y", "platform=ios", 3, 12, 0.5, 0.375, False),
        ("2026-11-23", "B", 1, "z", "platform=ios=x", 3, 0, None, 1, True),
    ),
    "retention_rollups": dicts(
        "period cohort_start period_number dimension_key users_count cohort_size retention"
        " is_final",
        # A run that never came again left the size unfinished.
        ("day", "2026-11-17", 0, "overall", 4, 4, 1, False),
        ("day", "2026-11-17", 1, "overall", 0, 4, 0, True),
        ("day", "2026-11-17", 10, "overall", 1, 4, 0.25, False),
        ("day", "2026-11-17", 1, "platform=", 1, None, None, True),
        ("day", "2026-11-17", 1, "platform= ", 1, None, None, True),
        ("day", "2026-11-23", 0, "platform=ios", 2, 2, 1, True),
        ("week", "2026-11-23", 0, "overall", 8, 8, 1, True),
        ("week", "2026-11-23", 1, "overall", 3, 8, 0.375, False),
    ),
    "active_user_rollups": dicts(
        "day period dimension_key users_count is_final",
        ("2026-11-17", "day", "overall", 0, True),
        ("2026-11-17", "week", "a=b=c", 5, True),
        ("2026-11-17", "week", "overall=x", 3, True),
        ("2026-11-17", "month", "overall", 7, True),
        ("2026-11-23", "day", "overall", 9, False),
    ),
    "daily_dimension_rollups": dicts(
        "day metric_name dimension_key value dimensions is_final",
        ("2026-11-17", "Z", "platform=ios", 10**15, None, True),
        ("2026-11-17", "dau", "platform=%3A", 1.5, {"cohort_size": 4, "converted_users": 1}, True),
        ("2026-11-17", "dau", "platform=(none)", 0, None, False),
        ("2026-11-23", "dau", "app.version=-1", 0, None, True),
    ),
}  # fmt: skip
SERVED_BY = dict(zip(NEW, ("funnel_conversion_rollups", "retention_rollups", "active_user_rollups",
                           "daily_dimension_rollups"), strict=True))  # fmt: skip


@pytest.fixture
def served(api_copy):
    """Make the tables say what SERVED does, last things first, and more outside of the window."""
    api_copy.execute("set search_path to analytics")
    about = dict.fromkeys(("computed_at", "matures_at", "period_start", "period_end"), "2026-11-20")
    for name, rows in SERVED.items():
        api_copy.execute(f"truncate {name}")
        day = "cohort_start" if "cohort_start" in rows[0] else "day"
        outside = [{**rows[0], day: "2026-11-16"}, {**rows[0], day: "2026-11-24"}]
        api_copy.cursor().executemany(
            f"insert into {name} select * from jsonb_populate_record(cast(null as {name}), %s)",
            [(Jsonb(row | about),) for row in reversed([*rows, *outside])],
        )


@pytest.mark.parametrize(("path", "name"), SERVED_BY.items())
@pytest.mark.parametrize("complete", ["", "complete=false", "complete=true"])
def test_new_answers_have_the_rows_of_their_table(client, api_copy, served, path, name, complete):
    rows = [row for row in SERVED[name] if row["is_final"] or "true" not in complete]
    answer = fetch(client, f"{path}?{complete}").json
    assert json.dumps(answer["rows"]) == json.dumps(rows) and answer["no_data"] is False
    header, *lines = rows_of(fetch(client, f"{path}?{complete}&format=csv"))
    columns = api_copy.execute(f"select * from {name} limit 0").description
    assert header == [column.name for column in columns]
    printed = {None: "", True: "true", False: "false", "=a": "'=a"}
    for row, line in zip(rows, lines, strict=True):
        cells = dict(zip(header, line, strict=True))
        for column in row.keys() & cells.keys():
            value = row[column]
            if isinstance(value, dict):
                value = json.dumps(value)
            # 0 and 1 equal False and True.
            known = isinstance(value, bool) or value in (None, "=a")
            assert cells[column] == (printed[value] if known else str(value))


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ("overall", {"overall"}),
        ("platform", {"platform=", "platform= ", "platform=ios", "platform=ios=x", "platform=%3A",
                      "platform=(none)"}),
        ("platform=ios", {"platform=ios"}),
        ("platform=ios=x", {"platform=ios=x"}),
        ("platform=%3A", {"platform=%3A"}),
        ("platform=", {"platform="}),
        ("platform= ", {"platform= "}),
        ("app.version", {"app.version=-1"}),
        ("exp=1:A", {"exp=1:A"}),
        *((key, set()) for key in ("exp", "plat", "platform=i", "a=b", ".*", "%", " overall")),
    ],
)  # fmt: skip
def test_dimension_is_all_or_a_dimension_or_a_key(client, served, asked, keys):
    for path, name in SERVED_BY.items():
        rows = [row for row in SERVED[name] if row["dimension_key"] in keys]
        query = f"{path}?dimension={quote(asked)}"
        answer = fetch(client, query).json
        assert (answer["rows"], answer["no_data"]) == (rows, not rows)
        assert len(rows_of(fetch(client, f"{query}&format=csv"))) == 1 + len(rows)


def test_conversions_name_the_steps_of_the_seed_whatever_the_filter(client, api_copy):
    api_copy.execute("""
        truncate analytics.funnel_steps;
        insert into analytics.funnel_steps
            (funnel_name, step, step_name, event_name, conversion_window_hours)
        values ('b', 1, 'x', 'y', 0.5), ('a', 20, 'm', 'n', null), ('a', 3, 'z', 'o', null),
            ('a', 3, 'z', 'O', null)
    """)
    names = "funnel_name step step_name event_names conversion_window_hours"
    assert fetch(client, f"{NEW[0]}?funnel_name=b").json["steps"] == dicts(
        names, ("a", 1, "z", ["O", "o"], 168), ("a", 2, "m", ["n"], 168), ("b", 1, "x", ["y"], 0.5)
    )


def test_complete_leaves_out_what_is_not_final(client, api_copy):
    daily, experiments, funnels, summary = (
        fetch(client, f"{path}?complete=true").json for path in PATHS[:4]
    )
    # The rates of the 22nd are not final, and nothing of the 23rd is.
    assert [(day["day"][-2:], len(day["metrics"])) for day in daily["days"]] == [
        ("21", 6),
        ("22", 6),
    ]
    assert "logging_rate_24h" not in daily["days"][1]["metrics"]
    experiment = experiments["experiments"][0]
    assert {point["day"][-2:] for point in experiment["series"]} == {"21", "22"}
    assert experiment["latest_day"] == "2026-11-22T00:00:00.000Z"
    assert experiment["latest_metrics_by_variant"] == {key: {"users_assigned": 1} for key in "AB"}
    assert {row["day"][-2:] for row in funnels["rows"]} == {"21", "22"}
    latest = [(one["value"], one["dimensions"].get("day", "")[:10]) for one in summary["metrics"]]
    assert latest == [
        (0, "2026-11-21"), (2, "2026-11-22"), (1, ""), (2, "2026-11-22"), (2, "2026-11-22"),
        (0, "2026-11-21"), (0, "2026-11-21"),
    ]  # fmt: skip
    assert '"is_final":false' not in json.dumps([daily, experiments, funnels, summary])
    for path in PATHS[:3]:
        header, *rows = rows_of(fetch(client, f"{path}?complete=true&format=csv"))
        assert {row[header.index("is_final")] for row in rows} == {"true"}
    for table in ("daily_metric_rollups", "experiment_metric_rollups"):
        api_copy.execute(f"update analytics.{table} set is_final = false")
    bodies = [fetch(client, f"{path}?complete=true").json for path in PATHS[:4]]
    assert [body.get("no_data") for body in bodies] == [True, True, False, None]
    assert (bodies[1]["experiments"][0]["latest_day"], bodies[3]["metrics"]) == (None, [])


FOREIGN = "Another system made these tables in schema analytics: "


@pytest.mark.parametrize(
    ("change", "paths", "said"),
    [
        ("alter table daily_metric_rollups drop is_final", PATHS,
         f"{FOREIGN}daily_metric_rollups (there is no column is_final)"),
        ("alter table daily_metric_rollups alter day type timestamp(3)", PATHS,
         f"{FOREIGN}daily_metric_rollups (column day is timestamp"),
        ("alter table funnel_rollups rename to o; create view funnel_rollups as select day from o",
         PATHS, f"{FOREIGN}funnel_rollups (there is no column computed_at"),
        ("alter table rollup_runs drop as_of", PATHS, "not as this version reads them"),
        ("drop table daily_metric_rollups", [PATHS[0], PATHS[3]], "lacks daily_metric_rollups, "),
        ("drop table experiment_catalog", [*PATHS[1:4:2], PATHS[4]], "lacks experiment_catalog, "),
        ("drop table experiment_readouts", [PATHS[4]], "lacks experiment_readouts, "),
        ("drop table experiment_readouts, experiment_health", [PATHS[4]],
         "lacks experiment_readouts, experiment_health, although job experiment has run"),
        ("drop table funnel_steps", [PATHS[2], NEW[0]], "although job funnel has run"),
        ("drop table funnel_conversion_rollups", [NEW[0]],
         "lacks funnel_conversion_rollups, although job funnel has run"),
        ("drop table daily_dimension_rollups", [NEW[3]], "although job daily has run"),
        ("drop table active_user_rollups", NEW[1:3], "lacks active_user_rollups, although job ret"),
    ],
)  # fmt: skip
def test_foreign_and_lost_tables_are_an_error(client, api_copy, change, paths, said):
    api_copy.execute(f"set search_path to analytics; {change}")
    for path in (*paths, *(f"{path}?format=csv" for path in paths if path != PATHS[3])):
        if "steps" in change and "csv" in path:  # the CSV does not read the steps
            continue
        response = fetch(client, path)
        assert is_error(response, 503, "Service Unavailable") and said in response.json["message"]
    others = [fetch(client, path).status_code for path in PATHS if path not in paths]
    assert others == [200] * len(others)
    assert fetch(client, "/ready").status_code == (503 if paths is PATHS else 200)


def test_views_for_tables_and_a_missing_run_log_are_no_error(client, api_copy):
    api_copy.execute("drop table analytics.rollup_runs")
    api_copy.execute("alter table analytics.funnel_rollups rename to other")
    api_copy.execute("create view analytics.funnel_rollups as table analytics.other")
    for path, key in zip(PATHS, KEYS, strict=True):
        response = fetch(client, path)
        assert response.json[key] and response.json["data_as_of"] is None
        assert "ETag" not in response.headers


@pytest.mark.parametrize(
    ("change", "zone", "paths", "others"),
    [
        ("comment on table daily_metric_rollups is 'Days are days of Europe/Berlin.'", "UTC",
         [PATHS[0], PATHS[3]], "Europe/Berlin"),
        ("comment on table active_user_rollups is 'Days are days of Etc/UTC.'", "UTC",
         NEW[1:3], "Etc/UTC"),
        ("comment on table experiment_statistics is 'Days are days of Asia/Tokyo.'", "UTC", [], ""),
        ("comment on table daily_metric_rollups is 'Metrics of each day.'", "UTC", [], ""),
        ("comment on table daily_metric_rollups is 'Days are days of UTC.'", "UTC", [], ""),
        ("", "Europe/Berlin", PATHS, "UTC"),
        # Tables that hold nothing may be of any zone.
        ("truncate daily_metric_rollups; truncate funnel_rollups", "Asia/Tokyo",
         [*PATHS[1:2], *PATHS[3:]], "UTC"),
        ("comment on table daily_metric_rollups is 'Days are days of Asia/Tokyo.'", "Asia/Tokyo",
         PATHS[1:], "UTC"),
    ],
)  # fmt: skip
def test_days_of_another_zone_are_refused(api_client, api_copy, change, zone, paths, others):
    api_copy.execute(f"set search_path to analytics; {change}")
    client = api_client(api_copy.info.dsn, timezone=ZoneInfo(zone))
    for path in PATHS:
        csv_path = path if path == PATHS[3] else f"{path}?format=csv"
        for response in (
            fetch(client, path), fetch(client, path, If_None_Match="*"), fetch(client, csv_path)
        ):  # fmt: skip
            if path in paths:
                assert is_error(response, 500, "Internal Server Error")
                assert f"Set ROLLUP_TIMEZONE={others} here" in response.json["message"]
            else:
                assert response.status_code in (200, 304)
    assert {fetch(client, path).status_code for path in ("/ready", "/v1/runs")} == {200}


def test_runs_are_newest_first(client, api_copy):
    api_copy.execute("""
        insert into analytics.rollup_runs
            (job_name, status, started_at, window_start, window_end, error_text, ignored_by_rule)
        values ('daily', 'FAILED', '2099-01-01', now(), now(), 'broken "model"', '{"late": 2}')
    """)
    runs = fetch(client, "/v1/runs").json["runs"]
    starts = [run["started_at"] for run in runs]
    assert starts == sorted(starts, reverse=True) and len(runs) == 5
    assert (runs[0]["error_text"], runs[0]["finished_at"]) == ('broken "model"', None)
    assert runs[0]["ignored_by_rule"] == {"late": 2}
    assert runs[1]["window_start"] == "2026-11-21T00:00:00.000Z"
    assert len(fetch(client, "/v1/runs?limit=1").json["runs"]) == 1


def rows_of(response):
    return list(csv.reader(io.StringIO(response.text, newline="")))


def test_csv_has_a_line_for_each_row(get):
    daily = rows_of(get(f"{PATHS[0]}?format=csv&window_days=1"))
    assert daily[0] == [
        "day", "metric_name", "dimension_key", "value", "dimensions", "is_final", "computed_at"
    ]  # fmt: skip
    assert [row[1:4] for row in daily[1:]] == [
        ["dau", "overall", "2"],
        ["event_volume_by_name", "__proto__", "1"],
        ["event_volume_by_name", "app_opened", "1"],
        ["ingestion_lag_p50", "overall", "2"],
        ["ingestion_lag_p95", "overall", "3.8"],
        ["logging_rate_24h", "overall", "0"],
        ["new_users", "overall", "1"],
        ["sessions_submitted", "overall", "0"],
    ]
    assert len(rows_of(get(f"{PATHS[1]}?format=csv"))) == 1 + 24
    assert len(rows_of(get(f"{PATHS[1]}?format=csv&experiment_id=exp_2"))) == 1
    assert len(rows_of(get(f"{PATHS[2]}?format=csv&from=2026-11-22&to=2026-11-22"))) == 1 + 8
    headers = get(f"{PATHS[2]}?format=csv&from=2026-11-22&to=2026-11-22").headers
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"] == (
        "attachment; filename=funnels_2026-11-22_2026-11-22.csv"
    )


def test_csv_of_readouts_has_the_columns_and_rows_of_their_table(client, api_copy, decided):
    response = fetch(client, f"{PATHS[4]}?format=csv")
    header, *rows = rows_of(response)
    table = api_copy.execute("select * from experiment_readouts limit 0").description
    assert header == [column.name for column in table]
    ids = [(ODD, "M", "'=b"), (ODD, "M", "B"), (ODD, "m", "'=b")]
    assert [tuple(row[:3]) for row in rows] == [*ids, *(("none", s, "B") for s in sorted(STATUSES))]
    printed = {"value": "1000000000000000", "difference_low": "-1e-7", "difference_high": "1e+21"}
    printed |= {"cuped_lift_low": "0.00001", "variant_id": "'=b", "denominator_event_name": ""}
    about = {"experiment_id": ODD, "computed_at": "2026-11-23T12:00:00.500Z"}
    row = dict(zip(header, rows[0], strict=True))
    assert row == {k: str(v) for k, v in (METRIC | READOUT | about | printed).items()}
    row = dict(zip(header, rows[3], strict=True))
    assert {row[name] for name, value in NO_TEST.items() if value is None} == {""}
    assert response.headers["Content-Disposition"] == "attachment; filename=readouts.csv"


def test_csv_guards_against_formula_injection(client, api_copy):
    harmless = ["x=1", 'a,"b"\n', " x", "'=1"]
    signs = ["=1+1", "+1", "-1", "@x", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"]
    behind = ["", " ", "\n", "\r\n", "\xa0", "\u3000", "\ufeff", "\x0b"]
    names = [*harmless, "\tx", "\rx", "\nx", *(space + sign for space in behind for sign in signs)]
    api_copy.execute("delete from analytics.daily_metric_rollups")
    api_copy.cursor().executemany(
        "insert into analytics.daily_metric_rollups"
        " values ('2026-11-23', 'm', %s, -1.5, null, true, now())",
        [(name,) for name in names],
    )
    rows = rows_of(fetch(client, f"{PATHS[0]}?format=csv"))[1:]
    cells = [name if name in harmless else f"'{name}" for name in names]
    assert sorted(row[2] for row in rows) == sorted(cells)
    assert {row[3] for row in rows} == {"-1.5"}


@pytest.mark.parametrize(
    ("path", "table", "texts"),
    [
        (PATHS[0], "daily_metric_rollups", ["metric_name", "dimension_key", "dimensions"]),
        (PATHS[1], "experiment_metric_rollups",
         ["experiment_id", "variant_id", "metric_name", "dimensions"]),
        (PATHS[2], "funnel_rollups",
         ["funnel_name", "step_name", "dimension_key", "experiment_id", "variant_id"]),
        (PATHS[4], "experiment_readouts",
         ["experiment_id", "metric_name", "variant_id", "control_variant_id", "measure",
          "event_name", "denominator_event_name", "desired", "role", "status", "verdict"]),
        (NEW[0], "funnel_conversion_rollups", ["funnel_name", "step_name", "dimension_key"]),
        (NEW[1], "retention_rollups", ["period", "dimension_key"]),
        (NEW[2], "active_user_rollups", ["period", "dimension_key"]),
        (NEW[3], "daily_dimension_rollups", ["metric_name", "dimension_key", "dimensions"]),
    ],
)  # fmt: skip
def test_csv_guards_every_text_column(client, api_copy, path, table, texts):
    api_copy.execute(
        f"delete from analytics.{table} where ctid <> (select max(ctid) from analytics.{table})"
    )
    sets = ", ".join(f"{name} = '{-1 if name == 'dimensions' else '=1'}'" for name in texts)
    api_copy.execute(f"update analytics.{table} set {sets}")
    header, row = rows_of(fetch(client, f"{path}?format=csv"))
    guarded = {name for name, cell in zip(header, row, strict=True) if cell in ("'=1", "'-1")}
    assert guarded == set(texts)


def test_dashboard_guards_its_csv_by_the_same_rule():
    (rule,) = re.findall(r"~ '(.+)'", (queries.FOLDER / "macros.sql").read_text())
    assert f"/{rule}/;" in FILES["csv.js"].read_text()


@pytest.mark.parametrize(
    ("asked", "mark", "separator", "decimal"),
    [
        ("", "", ",", "."),
        ("&excel=comma", "\ufeff", ",", "."),
        ("&excel=semicolon", "\ufeff", ";", ","),
    ],
)
def test_csv_for_excel_has_its_mark_separator_and_decimals(
    client, api_copy, served, asked, mark, separator, decimal
):
    api_copy.execute("""
        truncate daily_metric_rollups;
        insert into daily_metric_rollups
        values ('2026-11-23', 'é', '1.5;x', -0.25, '{"a": 1.5}', true, '2026-11-23 12:00Z')
    """)
    cells = ["2026-11-23", "é", "1.5;x", "-0.25", '{"a": 1.5}', "true", "2026-11-23T12:00:00.000Z"]
    cells[3] = cells[3].replace(".", decimal)
    text = fetch(client, f"{PATHS[0]}?format=csv{asked}").text
    assert text.startswith(f"{mark}day{separator}metric_name") and text.count("\ufeff") == len(mark)
    assert list(csv.reader(io.StringIO(text), delimiter=separator))[1] == cells
    # Every number has it, and nothing else.
    rows = fetch(client, f"{NEW[0]}?format=csv{asked}").text
    assert f"2{decimal}5" in rows and ("2.5" in rows) == (decimal == ".")
    tags = {fetch(client, f"{PATHS[0]}?format=csv{a}").headers.get("ETag") for a in (asked, "")}
    assert len(tags) == (2 if asked else 1)


def test_csv_of_many_rows_is_complete(client, api_copy):
    api_copy.execute(
        "insert into analytics.daily_metric_rollups"
        " select '2026-11-22', 'm', n::text, n, null, true, now() from generate_series(1, 9000) n"
    )
    rows = rows_of(fetch(client, f"{PATHS[0]}?format=csv"))
    assert len(rows) == 1 + 23 + 9000 and rows == [*rows[:1], *sorted(rows[1:])]


READER = "api_reader"


def test_read_access_to_the_analytics_schema_is_enough(api_client, api_copy, maintenance):
    name = sql.Identifier(f"{READER}_{api_copy.info.dbname}")
    maintenance.execute(sql.SQL("create role {} login").format(name))
    try:
        api_copy.execute("revoke all on schema public from public")
        for grant in ("usage on schema analytics", "select on all tables in schema analytics"):
            api_copy.execute(sql.SQL(f"grant {grant} to {{}}").format(name))
        conninfo = psycopg.conninfo.make_conninfo(
            api_copy.info.dsn, user=f"{READER}_{api_copy.info.dbname}"
        )
        client = api_client(conninfo)
        for path, key in zip(PATHS, KEYS, strict=True):
            assert fetch(client, path).json[key]
        for path in (*PATHS[:3], *PATHS[4:]):
            assert len(rows_of(fetch(client, f"{path}?format=csv"))) > 1
        assert fetch(client, "/ready").json["jobs"][0]["data_as_of"]
        assert fetch(client, "/v1/runs").json["runs"]
        api_copy.execute(sql.SQL("revoke usage on schema analytics from {}").format(name))
        # An error, not "no run yet", on the first request and on later ones.
        for one in (client, api_client(conninfo)):
            response = fetch(one, PATHS[0])
            assert is_error(response, 503, "Service Unavailable")
            assert "init --reader" in response.json["message"]
            one.application.extensions["database"].close()
    finally:
        api_copy.execute(sql.SQL("drop owned by {}").format(name))
        maintenance.execute(sql.SQL("drop role {}").format(name))


def test_schema_name_is_quoted(api_client, api_copy):
    api_copy.execute('alter schema analytics rename to "my ""%s\\1 schema"')
    client = api_client(api_copy.info.dsn, schema='my "%s\\1 schema')
    for path, key in zip(PATHS, KEYS, strict=True):
        assert fetch(client, path).json[key]
    assert rows_of(fetch(client, f"{PATHS[0]}?format=csv"))


@pytest.mark.parametrize(
    "setting",
    ["timezone to 'Asia/Kathmandu'", "datestyle to 'German, DMY'", "extra_float_digits to 0"],
)
def test_responses_do_not_depend_on_settings_of_the_database(client, get, api_copy, setting):
    name = sql.Identifier(api_copy.info.dbname)
    api_copy.execute(sql.SQL(f"alter database {{}} set {setting}").format(name))
    paths = [f"{path}?window_days=3" for path in PATHS[:4]]
    csv_paths = [f"{path}?format=csv" for path in (PATHS[0], *PATHS[4:])]
    for path in (*paths, *PATHS[4:], *csv_paths):
        assert fetch(client, path).text == get(path).text
