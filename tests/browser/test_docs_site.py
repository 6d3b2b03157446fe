"""The documentation's page in a browser that may fetch nothing else."""

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


@pytest.fixture
def visit(browser, address):
    """Open a place of the page, which may ask no host for anything but its own folder."""
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(10_000)
    page, asked, problems = context.new_page(), set(), []
    page.on("request", lambda request: asked.add(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))

    def visit(place):
        page.goto(f"{address}#!/{place}")
        return page

    yield visit
    context.close()
    folder = address.rpartition("/")[0]
    assert [url for url in asked if not url.startswith(("data:", folder))] == []
    assert problems == []


def test_overview_introduces_the_project(visit):
    page = visit("overview")
    expect(page.get_by_role("heading", name="Analytics Rollups")).to_be_visible()
    page.get_by_role("link", name="funnel_rollups").click()
    expect(page.get_by_role("heading", name="funnel_rollups")).to_be_visible()


def test_model_shows_its_columns(visit):
    page = visit("model/model.analytics_rollups.daily_metric_rollups")
    page.get_by_role("row", name="value").first.click()
    expect(page.get_by_text("for the rate a share from 0 to 1").last).to_be_visible()


def test_exposure_links_to_its_endpoint(visit):
    page = visit("exposure/exposure.analytics_rollups.api_funnels")
    link = page.get_by_role("link", name="View this exposure")
    expect(link).to_have_attribute("href", "http://127.0.0.1:8000/v1/metrics/funnels")
