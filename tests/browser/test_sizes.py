"""The page limits what it draws, and its CSV files have everything."""

import csv
import io
import json
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from dashboard import NOW, PHONE, TOKEN, readouts
from playwright.sync_api import expect

NAMES = 20_000
MOST_NODES = 20_000  # with every table open
LONG = "n" * 5000
DAYS = [f"2026-11-{day}" for day in range(20, 25)]
HEAD = {"generated_at": NOW.isoformat(), "data_as_of": NOW.isoformat(), "no_data": False}


def nodes(page) -> int:
    for button in page.page.get_by_role("button", name="Table").all():
        button.click()
    return page.page.evaluate("document.querySelectorAll('*').length")


def rows(page, button):
    return list(csv.DictReader(io.StringIO(page.download(button))))


def shown(page, title):
    """The cells of the table's body as text."""
    table = page.page.get_by_role("table", name=title, exact=True)
    cells = "(table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.innerText))"
    return table.evaluate(cells)[1:]


def number(text):
    return int(text.replace(",", ""))


def test_names_beyond_the_top_are_one_row_and_in_the_csv(visit, serve, copy):
    copy.execute(
        """
        insert into analytics.daily_metric_rollups
            (day, metric_name, dimension_key, value, dimensions, is_final, computed_at)
        select day, 'event_volume_by_name', 'many ' || n, n,
            jsonb_build_object('event_name', 'many ' || n, 'day', day), true, now()
        from generate_series(1, %s) as n cross join (select date '2026-11-23' as day) as days
        """,
        [NAMES],
    )
    address = serve(copy.info.dsn)
    asked = Request(f"{address}v1/metrics/daily?window_days=7",
                    headers={"x-dashboard-token": TOKEN.encode()})  # fmt: skip
    with urlopen(asked) as answer:
        days = json.load(answer)["days"]
    volumes = {day["day"]: day["metrics"]["event_volume_by_name"] for day in days}
    total = sum(sum(volume.values()) for volume in volumes.values())

    page = visit(address, "#/ingestion?window=7")
    assert nodes(page) < MOST_NODES
    *top, others = shown(page, "Events by name")
    names = {name for volume in volumes.values() for name in volume}
    assert others[0] == f"{len(names) - len(top):,} others\nin the CSV" and len(top) == 300
    assert top[0][:2] == [f"many {NAMES}", f"{NAMES:,}"]
    assert sum(number(row[1]) for row in top) + number(others[-2]) == total
    assert f"{total:,} events" in page.text(".names")
    charted = rows(page, "CSV: Event volume")
    assert sum(int(row["total"]) for row in charted) == total
    assert all(int(row["total"]) == sum(map(int, list(row.values())[2:-1])) for row in charted)
    file = rows(page, "CSV: Events by name")
    assert {(row["day"], row["event"]): int(row["events"]) for row in file} == {
        (day, name): n for day, volume in volumes.items() for name, n in volume.items()
    }


def named(kind, n):
    """One name in a thousand has over 5,000 letters."""
    return f"{kind} {n}" + (n % 1000 == 7) * f" {LONG}"


def experiments():
    variants = [
        {"variant_id": f"v{n:03}" + LONG * (n == 7), "variant_name": named("variant", n),
         "weight": 0.002, "is_control": n == 0} for n in range(500)
    ]  # fmt: skip
    metrics = ("logging_rate_24h_by_variant", "users_active_d1", "sessions_submitted_d7",
               "users_assigned")  # fmt: skip
    series = [
        {"day": day, "variant_id": variant["variant_id"], "metric_name": metric,
         "value": nth if metric == "users_assigned" else 0.5, "is_final": True,
         "dimensions": {"day": day, "cohort_size": 10, "converted_users": 5}}
        for day in DAYS for nth, variant in enumerate(variants) for metric in metrics
    ]  # fmt: skip
    one = {
        "experiment_id": "large",
        "status": "RUNNING",
        "start_at": None,
        "end_at": None,
        "targeting": {named("key", n): [LONG] for n in range(300)},
        "variants": variants,
        "latest_day": DAYS[-1],
        "series": series,
        "latest_metrics_by_variant": {
            variant["variant_id"]: {"users_assigned": n} for n, variant in enumerate(variants)
        },
    }
    none = {"status": "DRAFT", "start_at": None, "end_at": None, "targeting": None, "variants": [],
            "latest_day": None, "latest_metrics_by_variant": {}, "series": []}  # fmt: skip
    many = [none | {"experiment_id": named("exp", n)} for n in range(4999)]
    return HEAD | {"experiments": [*many, one]}


def funnels():
    def row(day, funnel, step, users, experiment=None, variant=None):
        return {"day": day, "funnel_name": funnel, "step_name": named("step", step),
                "experiment_id": experiment, "variant_id": variant, "users_count": users,
                "events_count": 2 * users, "step": step + 1, "is_final": True}  # fmt: skip

    return HEAD | {"rows": [
        *(row(day, "long", step, 300 - step) for day in DAYS[-2:] for step in range(300)),
        *(row(DAYS[-1], named("funnel", n), 0, 1) for n in range(150)),
        *(row(DAYS[-1], "long", step, 1000 + n - step, "large", f"v{n:03}" + LONG * (n == 7))
          for n in range(500) for step in (0, 1, 299)),
        *(row(DAYS[-1], "long", 0, 1, f"exp {n}", "A") for n in range(5000)),
    ]}  # fmt: skip


KEYS = ["overall", *(f"kind={n:04}" + LONG * (n == 7) for n in range(3000)), "kind=(other)"]


def conversions():
    def row(day, step, users, key):
        return {"day": day, "funnel_name": "long", "step": step + 1, "dimension_key": key,
                "step_name": named("step", step), "users_count": users, "median_seconds": step,
                "is_final": day != DAYS[-1]}  # fmt: skip

    steps = [{"funnel_name": "long", "step": n + 1, "step_name": named("step", n),
              "event_names": [LONG] if n < 299 else [f"{n} {LONG}"] * 300,
              "conversion_window_hours": 168} for n in range(300)]  # fmt: skip
    return HEAD | {"steps": steps, "rows": [
        *(row(day, step, 300 - step, "overall") for day in DAYS for step in range(299)),
        *(row(DAYS[0], step, 9, key) for key in KEYS[1:] for step in (0, 1)),
        *(row(DAYS[0], 0, 1000 + n, f"large:v{n:03}") for n in range(500)),
    ]}  # fmt: skip


def retention():
    cohorts = [f"{year}-{month:02}-{day:02}" for year in (2025, 2026) for month in range(1, 11)
               for day in range(1, 29)]  # fmt: skip
    return HEAD | {"rows": [
        {"period": "day", "cohort_start": start, "period_number": n, "dimension_key": key,
         "users_count": 90 - n, "cohort_size": 90, "retention": 1 - n / 90, "is_final": True}
        for key, starts in [("overall", cohorts), *((key, cohorts[:2]) for key in KEYS[1:])]
        for start in starts for n in range(31 if key == "overall" else 2)
    ]}  # fmt: skip


def active():
    return HEAD | {"rows": [
        {"day": day, "period": period, "dimension_key": key, "users_count": 9, "is_final": True}
        for day in DAYS for period in ("day", "week", "month") for key in KEYS
    ]}  # fmt: skip


def dimensions():
    return HEAD | {"rows": [
        {"day": day, "metric_name": metric, "dimension_key": key, "value": 0.5, "is_final": True,
         "dimensions": {"cohort_size": 2}}
        for day in DAYS for metric in ("dau", "logging_rate_24h") for key in KEYS[1:]
    ]}  # fmt: skip


def daily():
    metrics = {f"metric {n}": n for n in range(1000)} | {
        "dau": 1,
        "event_volume_by_name": {LONG: 1},
    }
    days = [{"day": day, "metrics": metrics, "is_final": {"dau": False}} for day in DAYS]
    ends = {"window_start": f"{DAYS[0]}T00:00:00.000Z", "window_end": "2026-11-25T00:00:00.000Z"}
    return HEAD | ends | {"days": days}


def summary():
    day = f"{DAYS[0]}T00:00:00.000Z"
    return HEAD | {"metrics": [
        {"metric_name": "logging_rate_24h", "value": 1,
         "dimensions": {"experiment_id": named("exp", n), "variant_id": named("v", n), "day": day}}
        for n in range(900)
    ]}  # fmt: skip


def runs():
    run = {"job_name": LONG, "status": "FAILED", "started_at": NOW.isoformat(), "finished_at": None,
           "window_start": None, "window_end": None, "rows_written": 0, "ignored_count": 0,
           "error_text": LONG[:500], "ignored_by_rule": {f"rule {n}": 1 for n in range(500)},
           }  # fmt: skip
    short = run | {"job_name": "daily", "ignored_by_rule": {"in_the_future": 1}}
    return {"runs": [run, *[short] * 999]}


def readout():
    """Every metric has a read-out of every variant; the last one got worse."""
    ids = [f"v{n:03}" + LONG * (n == 7) for n in range(1, 500)]
    answer = readouts("large", {"v499 returned_week_1": {"verdict": "worse"}}, ids)
    for metric in answer["experiments"][0]["metrics"]:
        metric["event_name"] = "|".join([LONG] * 5)
    answer["experiments"][0]["health"]["notes"] = [LONG]
    return answer


ANSWERS = {
    "readouts": readout,
    "experiments": experiments,
    "funnels": funnels,
    "conversions": conversions,
    "retention": retention,
    "active": active,
    "dimensions": dimensions,
    "daily": daily,
    "summary": summary,
}


@pytest.fixture
def hostile(visit, site):
    """A page whose API sends far too much of everything."""
    page = visit(site, viewport=PHONE)
    bodies = {f"/v1/metrics/{name}": json.dumps(make()) for name, make in ANSWERS.items()}
    bodies["/v1/runs"] = json.dumps(runs())

    def fulfill(route):
        body = bodies[urlsplit(route.request.url).path]
        route.fulfill(body=body, content_type="application/json")

    page.page.route("**/v1/**", fulfill)

    def open(hash):
        page.open(f"?{hash}#/{hash}")  # another query is another document
        assert not page.is_wider_than_the_screen()
        return page

    return open


def test_every_view_limits_what_it_draws(hostile):
    for view in ("overview", "overview?dimension=kind", "ingestion", "retention",
                 "retention?dimension=kind", "funnel?dimension=kind", "funnel?experiment=large",
                 "funnel", "funnel?funnel=long&mode=same-day"):  # fmt: skip
        page = hostile(view)
        assert 300 < nodes(page) < MOST_NODES, view
        assert not page.is_wider_than_the_screen()
    assert page.page.locator(".steps > li").count() == 50 and "50 of 300 steps" in page.text()
    page.page.get_by_role("button", name="Forget token").click()
    page.page.wait_for_selector(".gate")
    assert nodes(page) < MOST_NODES and "600 others" in page.text()
    assert "v1/metrics/summary" in page.text() and not page.is_wider_than_the_screen()


def test_many_experiments_can_be_searched_and_many_variants_add_up(hostile):
    page = hostile("experiments?experiment=large")
    assert page.page.locator(".picker a").count() == 100
    assert "large" in page.text(".picker a[aria-current]") and "4,900 others" in page.text(
        ".picker"
    )
    assert page.axe("label", "list", "listitem") == []
    page.page.get_by_role("searchbox").fill("EXP 4007")
    expect(page.page.locator(".picker a")).to_have_count(1)
    long = page.page.locator(".picker a bdi")
    assert long.get_attribute("title") == named("exp", 4007)[:5000] and "…" in long.inner_text()

    assert "variant 499 is worse than" in page.text(".sentence")
    assert page.page.locator(".result:not(.axis)").count() == 48
    assert "48 of 1,497 comparisons" in page.text() and page.text(".says.bad") == "worse"
    assert len(rows(page, "CSV: Against the control")) == 1497
    *top, others = shown(page, "Variants")
    assert others[0] == "200 others\nin the CSV" and len(top) == 300
    assert [row[0].split()[0] for row in top[1:3]] == ["v499", "v498"]  # the largest
    assert number(others[-2]) == 200 * 1500
    assert page.page.locator(".legend >> nth=0 >> li").count() == 8
    assert "8 of 500 variants" in page.text()
    assert {row["users"] for row in rows(page, "CSV: Variants")} == {"1500", ""}
    assert len(rows(page, "CSV: Second event")) == 500 * len(DAYS)
    assert 300 < nodes(page) < MOST_NODES and not page.is_wider_than_the_screen()


def test_funnel_of_many_variants_counts_the_rest(hostile):
    page = hostile("funnel?funnel=long&experiment=large&mode=same-day")
    text = page.text()
    assert "8 of 500 variants" in text and "50 of 300 steps" in text
    assert "Not in these lists: 51 funnels and 4,901 experiments" in text
    assert page.page.input_value("#compare") == "large"
    assert len(rows(page, "CSV: Long")) == 300 * 500
    assert 300 < nodes(page) < MOST_NODES and not page.is_wider_than_the_screen()
