"""What the page says when there is nothing, something went wrong, or a name is hostile."""

import csv
import io
import re
from datetime import timedelta

from dashboard import NOW
from playwright.sync_api import expect

BAD_NAME = "<img src=x onerror=\"document.title='owned'\">"
HOSTILE = [
    BAD_NAME,
    "__proto__",
    "constructor",
    "42",
    "=cmd|'/c calc'!A1",
    "\u202egnp.exe",
    "n" * 5000,
]


def test_no_run_yet(visit, serve, lasting_database):
    address = serve(lasting_database())
    page = visit(address)
    for view in ("overview", "experiments", "funnel", "ingestion"):
        page.open(f"#/{view}")
        expect(page.page).to_have_title(re.compile(f"^{view}", re.I))
        page.settle()
        assert "No run yet" in page.text() and "python cli.py" in page.text()
    assert page.axe() == []
    gate = visit(address, token=None)
    assert "No run yet" in gate.text() and gate.page.locator(".gate").is_visible()


def test_no_experiments(visit, serve, copy):
    copy.execute("truncate analytics.experiment_catalog, analytics.experiment_metric_rollups")
    address = serve(copy.info.dsn)
    page = visit(address, "#/experiments")
    assert "No experiments yet" in page.text()
    page.open("#/funnel?experiment=exp_rest_timer")  # variants without a catalog keep their ids
    page.page.wait_for_selector("li .who")


def test_window_without_rows(visit, serve, demo_conninfo):
    address = serve(demo_conninfo, now=NOW + timedelta(days=30))
    page = visit(address, "#/overview?window=7")
    assert "Nothing in these 7 days" in page.text()
    assert "overdue" in page.text("#notices") and "24 Nov 2026, 12:00 UTC" in page.text("#notices")
    page.page.get_by_role("button", name="Show 90 days").click()
    page.page.wait_for_selector(".uplot")
    assert "the next run completes it" in page.text()


def test_failed_run_is_told_in_plain_words(visit, serve, copy):
    copy.execute(
        """
        insert into analytics.rollup_runs
            (id, job_name, status, started_at, finished_at, window_start, window_end, error_text)
        select gen_random_uuid(), job_name, 'FAILED', as_of + interval '1 day',
            as_of + interval '25 hours', window_start, window_end, %s
        from analytics.rollup_runs where job_name in ('daily', 'funnel')
        """,
        [f"relation {BAD_NAME} does not exist"],
    )
    address = serve(copy.info.dsn, now=NOW + timedelta(hours=27))
    page = visit(address, "#/ingestion")
    said = page.text("#notices")
    assert "The last run of the daily and funnel jobs failed on 25 Nov 2026" in said
    assert "overdue" in said
    page.page.locator("#notices summary").click()
    assert BAD_NAME in page.text("#notices")
    assert page.text("#panel").count("failed") == 2
    assert page.axe() == []
    assert "owned" not in page.page.title()


def test_hostile_names_come_out_as_text(visit, serve, copy):
    day = "2026-11-23"
    for nth, name in enumerate(HOSTILE):
        copy.execute(
            """
            insert into analytics.daily_metric_rollups
                (day, metric_name, dimension_key, value, dimensions, is_final, computed_at)
            values (%s, 'event_volume_by_name', %s, %s,
                jsonb_build_object('event_name', %s::text, 'day', %s::text), true, now())
            """,
            [day, f"hostile {nth}", 90000 - nth, name, day],
        )
    for table in ("experiment_catalog", "experiment_metric_rollups", "funnel_rollups"):
        copy.execute(
            f"update analytics.{table} set experiment_id = %s where experiment_id = %s",
            [BAD_NAME, "exp_rest_timer"],
        )
    copy.execute("update analytics.funnel_steps set step_name = %s where step_name = %s",
                 [BAD_NAME, "active_open"])  # fmt: skip
    copy.execute("update analytics.funnel_rollups set step_name = %s where step_name = %s",
                 [BAD_NAME, "active_open"])  # fmt: skip
    address = serve(copy.info.dsn)
    page = visit(address, "#/ingestion", viewport={"width": 360, "height": 740})
    for button in page.page.get_by_role("button", name="Table").all():
        button.click()
    for name in HOSTILE[:4]:
        assert name in page.text()
    assert not page.is_wider_than_the_screen()
    cells = {
        row["event"] for row in csv.DictReader(io.StringIO(page.download("CSV: Events by name")))
    }
    assert {BAD_NAME, "'=cmd|'/c calc'!A1", "n" * 5000} <= cells
    assert page.axe() == []
    for view in ("experiments", "funnel"):
        page.open(f"#/{view}")
        expect(page.page).to_have_title(re.compile(f"^{view}", re.I))
        page.settle()
        assert "<img src=x" in page.text("#panel")
        assert page.page.locator("#panel img").count() == 0
        assert not page.is_wider_than_the_screen()
    page.page.get_by_role("tab", name="Experiments").click()
    page.page.get_by_role("link", name="<img").click()
    expect(page.page.locator(".detail h2")).to_contain_text("<img")
    assert "owned" not in page.page.title()


def test_api_away_and_back(visit, site):
    page = visit(site, expected="Failed to load")
    page.page.route("**/v1/**", lambda route: route.abort())
    page.page.get_by_role("button", name="Refresh").click()
    page.page.wait_for_selector("text=The API does not answer")
    assert page.axe() == []
    page.page.unroute("**/v1/**")
    page.page.get_by_role("button", name="Try again").click()
    page.page.wait_for_selector(".uplot")


def test_errors_are_shown_in_the_api_s_own_words(visit, site):
    page = visit(site, expected="503")
    body = {"error": "Service Unavailable", "message": "The database does not answer."}
    page.page.route("**/v1/metrics/**", lambda route: route.fulfill(status=503, json=body))
    page.page.get_by_role("button", name="Refresh").click()
    page.page.wait_for_selector("text=The database does not answer.")


def test_api_that_knows_no_from_and_to_gives_no_comparison(visit, site):
    page = visit(site, token=None, expected="400")
    body = {"error": "Invalid request", "message": "no"}
    page.page.route(
        "**/v1/metrics/daily?from=*", lambda route: route.fulfill(status=400, json=body)
    )
    page.page.evaluate("sessionStorage.setItem('dashboard-token', 's3cret-té')")
    page.page.get_by_role("button", name="Refresh").click()
    page.page.wait_for_selector(".uplot")
    assert page.page.locator(".change", has_text="No comparison").count() == 6
