"""Parameters, tokens, paths and methods: what is accepted, and the shape of the errors."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from api_helpers import NOW, fetch, is_error

NEW = [f"/v1/metrics/{name}" for name in ("conversions", "retention", "active", "dimensions")]
WINDOW_PATHS = [f"/v1/metrics/{name}" for name in ("daily", "experiments", "funnels")] + NEW
TOKEN_PATHS = [*WINDOW_PATHS, "/v1/metrics/readouts", "/v1/metrics/load-tests/runs", "/v1/runs"]
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
        *((path, "funnel_name=a", "takes only window_days, from, to, format, excel, complete, dim")
          for path in NEW[1:]),
        (NEW[0], "experiment_id=a", "complete, dimension, funnel_name."),
        ("/v1/metrics/readouts", "window_days=7", "takes only experiment_id, format, excel."),
        ("/v1/metrics/readouts", "format=xml", "format must be json or csv."),
        ("/v1/metrics/readouts", "experiment_id=%00", "must not contain a NUL"),
        ("/v1/metrics/daily", "format=csv&format=csv", "format is given 2 times"),
        *((f"/v1/metrics/{name}", f"format=csv&excel={value}", "excel must be comma or semicolon.")
          for name in ("daily", "readouts", "active") for value in ("", "1", "Comma", "%3B")),
        *((f"/v1/metrics/{name}", "excel=comma", "excel needs format=csv.")
          for name in ("daily", "readouts", "active")),
        # In JSON no token is expected in the URL.
        *((path, "token=l1nk", "Unknown parameter 'token'") for path in NEW),
        ("/v1/runs", "format=csv&token=l1nk", "Unknown parameter 'format'"),
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


LINKS = [f"{path}?format=csv" for path in (*NEW, *WINDOW_PATHS[:3], "/v1/metrics/readouts")]


@pytest.mark.parametrize(
    ("query", "token", "status"),
    [
        ("&token=l1nk", None, 200),
        ("&token=l1nk", "s3cret-té", 200),
        ("&token=l1nk", "wrong", 200),
        # A wrong link is refused, whatever else is sent.
        ("&token=x", "s3cret-té", 401),
        ("&token=", "s3cret-té", 401),
        ("&token=l1nk&token=l1nk", None, 401),
        ("&token=L1NK", None, 401),
        ("&token=%00%FF", None, 401),
        ("&Token=l1nk", None, 401),
        # The tokens never take each other's place.
        ("&token=s3cret-t%C3%A9", None, 401),
        ("", "l1nk", 401),
        ("&x-dashboard-token=l1nk", None, 401),
        ("&format=csv&token=l1nk", None, 401),
        # Who may read is asked first.
        ("&token=x&window_days=x", None, 401),
    ],
)
def test_a_link_opens_by_its_own_token_alone(api_client, api_conninfo, query, token, status):
    client = api_client(api_conninfo, link_token="l1nk")
    for path in LINKS:
        response = fetch(client, path + query, token=token)
        assert response.status_code == status, path
        assert "text/csv" in response.headers["Content-Type"] or status == 401
    assert fetch(client, f"{WINDOW_PATHS[0]}?token=l1nk", token=None).status_code == 401


def test_links_open_only_where_both_tokens_are_set(api_client, api_conninfo):
    for settings, status, said in (
        ({}, 401, "until LINK_TOKEN is set"),
        ({"token": None, "link_token": "l"}, 503, "Set DASHBOARD_TOKEN"),
    ):
        client = api_client(api_conninfo, **settings)
        response = fetch(client, f"{LINKS[0]}&token=l", token=None)
        assert response.status_code == status and said in response.json["message"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [("Bearer {}", 200), ("bearer {}", 200), ("BEARER   {} ", 200), ("{}", 401), ("Basic {}", 401),
     ("Token {}", 401), ("Bearer", 401), ("Bearer ", 401), ("Bearer {}x", 401),
     ("Bearer {0}, Bearer {0}", 401), ('Bearer "{}"', 401), ("Bearer token={}", 401)],
)  # fmt: skip
@pytest.mark.parametrize("token", ["s3cret-té", "a=b=="])
def test_a_bearer_token_is_accepted_too(api_client, api_conninfo, sent, status, token):
    client = api_client(api_conninfo, token=token)
    sent = sent.format(token).encode().decode("latin-1")
    for given in (None, "of another server"):
        response = fetch(client, "/v1/runs", token=given, Authorization=sent)
        assert response.status_code == status


def test_the_old_page_of_load_tests_gets_an_empty_list(get):
    response = get("/v1/metrics/load-tests/runs?limit=20")
    assert response.json == {"generated_at": "2026-11-23T15:30:02.095Z", "runs": []}


@pytest.fixture(scope="module")
def empty(lasting_database):
    return lasting_database()


# Changes of clocks at night and at midnight, half hours, a skipped day, a day that comes back.
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", "2026-11-23"), ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"),
        ("Australia/Lord_Howe", "2026-04-05"), ("Asia/Kathmandu", "1986-01-01"),
        ("America/St_Johns", "2010-11-06"), ("America/Havana", "2026-11-01"),
        ("Africa/Cairo", "2026-04-24"), ("America/Sao_Paulo", "2018-02-17"),
        ("Pacific/Apia", "2011-12-29"), ("Pacific/Apia", "2011-12-30"),
        ("Africa/Monrovia", "1972-01-07"),
    ],
)  # fmt: skip
def test_windows_are_days_of_the_zone(api_client, empty, zone, day):
    step, one_day, zone = timedelta(seconds=30), timedelta(days=1), ZoneInfo(zone)
    client = api_client(empty, timezone=zone)
    day = datetime.fromisoformat(f"{day}T12:00Z")
    moments = [day + step * n for n in range(-3 * 2880, 3 * 2880)]
    dates = [moment.astimezone(zone).date() for moment in moments]
    days = [(day + one_day * n).date() for n in range(-1, 2)]
    starts = [next(m for m, d in zip(moments, dates, strict=True) if d >= one) for one in days]
    ends = [max(m for m, d in zip(moments, dates, strict=True) if d <= one) + step for one in days]

    def asked(query, now=NOW):
        client.application.extensions["now"] = lambda: now
        body = fetch(client, f"/v1/metrics/daily?{query}").json
        assert body["timezone"] == zone.key
        return tuple(datetime.fromisoformat(body[f"window_{end}"]) for end in ("start", "end"))

    for first, last in ((1, 1), (0, 1), (1, 2)):
        window = asked(f"from={days[first]}&to={days[last]}")
        assert window == (starts[first], ends[last])
    for now in (starts[1], starts[1] - step, ends[1] - step, ends[0]):
        # Today is the first day that is not over for good.
        today = next(n for n, end in enumerate(ends) if end > now)
        assert asked("window_days=1", now) == (starts[today], ends[today])


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
