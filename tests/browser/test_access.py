"""The token, the keyboard and the history."""

import re

from dashboard import TOKEN
from playwright.sync_api import expect

STORED = "sessionStorage.getItem('dashboard-token')"


def test_summary_is_open_and_a_wrong_token_can_be_tried_again(visit, site):
    page = visit(site, token=None, expected="401")
    assert "Daily active users" in page.text() and "Enter the dashboard token" in page.text()
    assert page.page.get_by_role("button", name="Forget token").is_hidden()
    assert page.axe() == []

    page.page.get_by_label("Token", exact=True).fill("wrong")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector(".error:has-text('not the token')")
    assert page.page.evaluate(STORED) is None
    assert page.axe() == []

    page.page.keyboard.type(TOKEN)  # replaces the wrong token, which is selected
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector(".uplot")
    assert page.page.evaluate(STORED) == TOKEN
    assert page.page.evaluate("localStorage.length") == 0 and page.context.cookies() == []
    assert TOKEN not in page.page.url

    page.page.reload()
    page.page.wait_for_selector(".uplot")
    # Other tabs need no typing: one that is opened later, and one that was open.
    others = [page.context.new_page() for _ in range(2)]
    for other in others:
        other.goto(site)
        other.wait_for_selector(".uplot")
    assert others[1].evaluate("localStorage.length") == 0
    page.page.get_by_role("button", name="Forget token").click()
    for tab in (page.page, *others):
        tab.wait_for_selector(".gate")
        assert tab.evaluate(STORED) is None
    assert TOKEN not in page.page.evaluate("JSON.stringify(localStorage)")
    others[0].evaluate(f"sessionStorage.setItem('dashboard-token', '{TOKEN}')")  # a restored tab
    others[0].reload()
    others[0].wait_for_selector(".gate")
    field = page.page.get_by_label("Token", exact=True)
    field.fill(TOKEN)
    field.press("Enter")
    others[0].wait_for_selector(".uplot")


def test_expired_token_leads_back_to_the_form(visit, site):
    page = visit(site, "#/funnel", token="of yesterday", expected="401")
    page.page.wait_for_selector(".gate")
    assert "no longer accepted" in page.text(".error")
    assert page.page.evaluate(STORED) is None


def test_server_without_a_token_says_what_to_set(visit, serve, demo_conninfo):
    address = serve(demo_conninfo, token=None)
    page = visit(address, token=None, expected="503")
    page.page.get_by_label("Token", exact=True).fill("any")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector(".error:has-text('Set DASHBOARD_TOKEN')")


def test_without_storage_the_token_lasts_until_the_reload(visit, site):
    page = visit(site, token=None, expected="431").page
    page.evaluate(
        "void (Storage.prototype.setItem = () => { throw new DOMException('', 'Quota') })"
    )
    field = page.get_by_label("Token", exact=True)
    field.fill("t" * 200_000)  # more than an engine takes as arguments
    field.press("Enter")
    expect(page.locator(".error")).not_to_be_empty()
    assert "This page failed" not in page.inner_text(".error")
    field.fill(TOKEN)
    field.press("Enter")
    page.wait_for_selector(".uplot")
    assert page.evaluate(STORED) is None
    page.get_by_role("button", name="Forget token").click()
    page.wait_for_selector(".gate")


def test_keyboard_reaches_everything(visit, site):
    page = visit(site).page
    focused = "document.activeElement"
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.id") == "main"
    assert "#/" not in page.url or "main" not in page.url

    page.get_by_role("tab", name="Overview").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_title(re.compile("^Experiments"))
    assert page.evaluate(f"{focused}.id") == "tab-experiments"
    page.keyboard.press("End")
    expect(page).to_have_title(re.compile("^Ingestion"))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_title(re.compile("^Overview"))

    page.locator("input[name=window]:checked").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("from=2026-10-26&to=2026-11-24$"))

    toggle = page.get_by_role("button", name="Table: Daily active users")
    page.wait_for_selector("#panel[aria-busy=false]")
    toggle.focus()
    assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    page.keyboard.press("Space")
    assert page.get_by_role("table", name="Daily active users").is_visible()


def test_focus_stays_when_a_choice_redraws_the_view(visit, site):
    page = visit(site, "#/funnel?mode=same-day").page
    page.locator("#day").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#panel[aria-busy=false]")
    expect(page).to_have_url(re.compile("day=2026-11-22"))
    expect(page.locator("#day")).to_be_focused()
    page.get_by_role("tab", name="Experiments").click()
    link = page.get_by_role("link", name="exp_rest_timer")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".detail-head h2")).to_contain_text("exp_rest_timer")
    expect(link).to_be_focused()


def test_answer_for_a_view_that_was_left_does_not_bring_it_back(visit, site):
    page = visit(site, "#/ingestion").page
    # Between the old view's answers and the event of the new hash.
    page.evaluate(
        """() => {
            const { all } = Promise;
            Promise.all = async (promises) => {
                const answers = await all.call(Promise, promises);
                if (location.hash.startsWith("#/ingestion")) location.hash = "#/funnel";
                return answers;
            };
        }"""
    )
    page.get_by_role("button", name="Refresh").click()
    expect(page).to_have_title(re.compile("^Funnel"))
    expect(page.locator("#heading")).to_contain_text("Funnel")
    assert "#/funnel" in page.url


def test_back_button_goes_through_the_views(visit, site):
    page = visit(site, "#/overview?window=30").page
    page.get_by_role("tab", name="Funnel").click()
    page.wait_for_selector(".steps")
    assert "#/funnel?from=2026-10-26&to=2026-11-24" in page.url
    page.go_back()
    expect(page).to_have_title(re.compile("^Overview"))
