"""Parameters, tokens, paths and methods: what is accepted, and the shape of the errors."""

import pytest
from api_helpers import fetch, is_error

NEW = [f"/v1/metrics/{name}" for name in ("conversions", "retention", "active", "dimensions")]
WINDOW_PATHS = [f"/v1/metrics/{name}" for name in ("daily", "experiments", "funnels")] + NEW
TOKEN_PATHS = [*WINDOW_PATHS, "/v1/metrics/readouts", "/v1/runs"]
WINDOW_PATHS += ["/v1/metrics/summary"]
NOBODY = "dbname=nobody host=/nowhere"

BAD_NUMBERS = [
    "", "0", "00", "07", "91", "100", "99999999999999999999", "-1", "+7", "%2B7", " 7", "%207",
    "7%20", "7%0A", "7.5", "7.0", "1e1", "1e2", "0x7", "7_0", "seven", "NaN", "null", "true",
    "%EF%BC%97", "%D9%A7", "%C2%B2", "%00", "7%00", "%FF", "7,8", "[7]",
]  # fmt: skip

BAD_RANGES = [
    ("from=2026-11-01", "Give both"),
    ("to=2026-11-01", "Give both"),
    ("from=&to=", "from must be a day"),
    ("from=2026-11-01&to=", "to must be a day"),
    ("from=2026-11-01&to=2026-11-31", "to must be a day"),
    ("from=2026-1-01&to=2026-11-02", "from must be a day"),
    ("from=20261101&to=20261102", "from must be a day"),
    ("from=2026-W01-1&to=2026-11-02", "from must be a day"),
    ("from=2026-11-01T00:00:00Z&to=2026-11-02", "from must be a day"),
    ("from=%202026-11-01&to=2026-11-02", "from must be a day"),
    ("from=2026-11-01%0A&to=2026-11-02", "from must be a day"),
    ("from=%EF%BC%92026-11-01&to=2026-11-02", "from must be a day"),
    ("from=0000-11-01&to=2026-11-02", "from must be a day"),
    ("from=0001-01-01&to=0001-01-02", "from must lie between"),
    ("from=9999-12-31&to=9999-12-31", "from must lie between"),
    ("from=2026-11-02&to=2026-11-01", "must span 1 to 90 days"),
    ("from=2026-08-25&to=2026-11-23", "must span 1 to 90 days"),
    ("from=2026-11-01&from=2026-11-01&to=2026-11-02", "from is given 2 times"),
    ("from=2026-11-01&to=2026-11-02&window_days=2", "not both"),
    ("from=2026-11-01&window_days=2", "not both"),
]


@pytest.mark.parametrize("path", WINDOW_PATHS)
@pytest.mark.parametrize("value", BAD_NUMBERS)
def test_bad_window_days_are_refused(get, path, value):
    response = get(f"{path}?window_days={value}")
    assert is_error(response, 400, "Invalid request")
    assert response.json["message"] == "window_days must be a whole number from 1 to 90."


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        *(("/v1/metrics/daily", *one) for one in BAD_RANGES),
        *((path, "window_days=7&window_days=7", "give it once.") for path in WINDOW_PATHS),
        *(("/v1/runs", f"limit={value}", "limit must be a whole number from 1 to 1000.")
          for value in (*BAD_NUMBERS[:4], "1001", "-1", "1e2")),
        *(("/v1/metrics/daily", f"format={value}", "format must be json or csv.")
          for value in ("xml", "", "CSV", "%20csv")),
        *((path, "limt=5", "Unknown parameter 'limt': this endpoint takes ")
          for path in ("/v1/runs", "/ready", "/v1/metrics/readouts", *NEW)),
        *((path, f"complete={value}", "complete must be true or false.")
          for path in WINDOW_PATHS for value in ("", "1", "True", "false%20")),
        *((path, "complete=true&complete=true", "complete is given 2 times") for path in NEW),
        *((path, "dimension=%00", "dimension must not contain a NUL") for path in NEW),
        *((path, "funnel_name=a", "takes only window_days, from, to, format, complete, dimension.")
          for path in NEW[1:]),
        (NEW[0], "experiment_id=a", "complete, dimension, funnel_name."),
        ("/v1/metrics/readouts", "window_days=7", "takes only experiment_id, format."),
        ("/v1/metrics/readouts", "format=xml", "format must be json or csv."),
        ("/v1/metrics/readouts", "experiment_id=%00", "must not contain a NUL"),
        ("/v1/metrics/daily", "format=csv&format=csv", "format is given 2 times"),
        ("/v1/metrics/experiments", "experiment_id=a%00b", "must not contain a NUL"),
        ("/v1/metrics/experiments", "experiment_id=a&experiment_id=", "is given 2 times"),
        ("/v1/metrics/funnels", "funnel_name=%00", "must not contain a NUL"),
        ("/v1/metrics/funnels", "funnel_name=a&funnel_name=b", "is given 2 times"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused(get, path, query, message):
    response = get(f"{path}?{query}")
    assert is_error(response, 400, "Invalid request") and message in response.json["message"]


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("", "2026-11-17", "2026-11-24"),
        ("window_days=1", "2026-11-23", "2026-11-24"),
        ("window_days=7", "2026-11-17", "2026-11-24"),
        ("window_days=90", "2026-08-26", "2026-11-24"),
        ("from=2026-11-22&to=2026-11-22", "2026-11-22", "2026-11-23"),
        ("from=2026-08-26&to=2026-11-23", "2026-08-26", "2026-11-24"),
        ("from=2024-02-29&to=2024-03-01", "2024-02-29", "2024-03-02"),
        ("from=9998-12-31&to=9998-12-31", "9998-12-31", "9999-01-01"),
        ("unknown=1&unknown=2", "2026-11-17", "2026-11-24"),
    ],
)
def test_good_windows(get, query, start, end):
    body = get(f"/v1/metrics/daily?{query}").json
    assert body["window_start"] == f"{start}T00:00:00.000Z"
    assert body["window_end"] == f"{end}T00:00:00.000Z"


@pytest.mark.parametrize("identifier", ["nobody", "exp_1'", "%25s", "%FF", "__proto__", "x" * 3000])
@pytest.mark.parametrize("name", ["experiments", "readouts", "funnels", "conversions", "retention"])
def test_unknown_name_gives_an_empty_list(get, name, identifier):
    parameter, key = {
        "experiments": ("experiment_id", "experiments"),
        "readouts": ("experiment_id", "experiments"),
        "funnels": ("funnel_name", "rows"),
        "conversions": ("funnel_name", "rows"),
        "retention": ("dimension", "rows"),
    }[name]
    response = get(f"/v1/metrics/{name}?{parameter}={identifier}")
    assert response.status_code == 200
    assert (response.json[key], response.json["no_data"]) == ([], True)


@pytest.mark.parametrize("blank", ["", "%20", "%20%09%0A", "+"])
@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/metrics/experiments?experiment_id=", "exp_2"),
     ("/v1/metrics/readouts?experiment_id=", "exp_1"),
     ("/v1/metrics/funnels?funnel_name=", "core_journey"),
     ("/v1/metrics/conversions?funnel_name=", "core_journey")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["json", "csv"])
def test_blank_name_is_no_filter_and_names_are_trimmed(get, path, name, blank, form):
    form = f"&format={form}"
    assert get(f"{path}{blank}{form}").text == get(path.partition("?")[0] + "?" + form).text
    assert get(f"{path}{blank}{name}{blank}{form}").text == get(f"{path}{name}{form}").text


def test_name_filters(get):
    experiments = get("/v1/metrics/experiments?experiment_id=exp_2").json
    assert [one["experiment_id"] for one in experiments["experiments"]] == ["exp_2"]
    assert experiments["no_data"] is True
    assert len(get("/v1/metrics/funnels?funnel_name=core_journey").json["rows"]) == 19


@pytest.mark.parametrize("path", TOKEN_PATHS)
@pytest.mark.parametrize(
    "token", [None, "", "wrong", "s3cret-t", "s3cret-tée", "S3CRET-TÉ", "s3cret-te", "\x00", "日本"]
)
def test_token_is_checked_before_the_parameters(api_client, path, token):
    response = fetch(api_client(NOBODY), f"{path}?window_days=x", token=token)
    assert is_error(response, 401, "Unauthorized")
    assert response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", TOKEN_PATHS)
@pytest.mark.parametrize("token", [None, ""])
def test_server_without_a_token_answers_503(api_client, path, token):
    client = api_client(NOBODY, token=token)
    for given in (None, "", "None"):
        response = fetch(client, f"{path}?window_days=x", token=given)
        assert is_error(response, 503, "Service Unavailable")
        assert "DASHBOARD_TOKEN" in response.json["message"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/metrics/summary", "/openapi.json"])
def test_open_endpoints_need_no_token(api_client, api_conninfo, path):
    assert fetch(api_client(api_conninfo, token=None), path, token=None).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/metrics/daily/",
        "//v1/metrics/daily",
        "/v1//runs",
        "/v1/metrics/x",
        "/%00",
    ],
)
def test_unknown_path_gets_404_as_json(get, path):
    assert is_error(get(path), 404, "Not Found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_wrong_method_gets_405_as_json(get, method):
    response = get("/v1/metrics/daily", method=method)
    assert is_error(response, 405, "Method Not Allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
