"""The documentation of the models, opened in Chromium."""

import pytest
import tables
from dashboard import DESKTOP
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def address(lasting_database, run_on, tmp_path_factory):
    """The page as it is built on a database without any table."""
    folder = tmp_path_factory.mktemp("target")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_TARGET_PATH", str(folder))
        run_on(tables.url_of(lasting_database()), "docs", "--build-only")
    return (folder / "site" / "index.html").as_uri()


def test_page_requests_no_host_and_its_links_work(browser, address):
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(10_000)
    page, asked, problems = context.new_page(), set(), []
    page.on("request", lambda request: asked.add(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}#!/overview")
    expect(page.get_by_role("heading", name="Analytics Rollups")).to_be_visible()
    page.get_by_role("link", name="funnel_rollups").click()
    expect(page.get_by_role("heading", name="funnel_rollups")).to_be_visible()
    page.goto(f"{address}#!/model/model.analytics_rollups.daily_metric_rollups")
    page.get_by_role("row", name="value").first.click()
    expect(page.get_by_text("for the rate a share from 0 to 1").last).to_be_visible()
    context.close()
    folder = address.rpartition("/")[0]
    assert [url for url in asked if not url.startswith(("data:", folder))] == []
    assert problems == []
