"""Each view on the demo's data."""

import csv
import io
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from dashboard import DESKTOP, NOW, PHONE
from playwright.sync_api import expect

VIEWS = {
    "overview": "Daily active users",
    "experiments": "Variants",
    "funnel": "Core journey, in order within 7 days",
    "retention": "Retention by day",
    "ingestion": "Event volume",
}


@pytest.mark.parametrize(("view", "title"), VIEWS.items())
def test_view_shows_its_numbers_passes_axe_and_fits_a_phone(visit, site, view, title):
    page = visit(site, f"#/{view}", viewport=PHONE)
    assert title in page.text()
    assert "Data as of 24 Nov 2026, 12:00 UTC" in page.text("#freshness")
    assert page.page.locator(".uplot canvas").count() >= 1
    assert page.page.locator("#notices").inner_text() == "" and page.shift() < 0.02
    assert not page.is_wider_than_the_screen()
    for button in page.page.get_by_role("button", name="Table").all():
        button.click()
    assert not page.is_wider_than_the_screen()
    page.page.set_viewport_size(DESKTOP)
    assert page.axe() == []
    page.page.emulate_media(color_scheme="dark")
    assert page.axe("color-contrast") == []
    page.page.reload()
    page.settle()
    page.page.wait_for_selector(".uplot canvas")
    assert page.shift() < 0.02


def test_overview_marks_values_that_are_not_final(visit, site):
    page = visit(site, "#/overview?window=7")
    rate = page.page.locator(
        "section", has=page.page.get_by_role("heading", name="within 24 h")
    ).last
    assert "23 Nov" in rate.inner_text() and "cohort matures on 25 Nov" in rate.inner_text()
    assert "today, counted until 12:00 UTC" in rate.inner_text()
    rows = list(csv.DictReader(io.StringIO(page.download("CSV: Session submitted within 24 h"))))
    assert [row["state"] for row in rows][:3] == [
        "today, counted until 12:00 UTC",
        "cohort matures on 25 Nov",
        "final",
    ]
    assert len(rows) == 7


def test_change_compares_with_the_window_before_or_says_why_not(visit, site):
    page = visit(site, "#/overview?window=14")
    assert page.page.locator(".change", has_text="the same weekdays 2 weeks before").count() == 9
    assert "No comparison" not in page.text()
    page.open("#/overview?window=90")
    assert page.page.locator(".change", has_text="No comparison").count() == 9


def test_experiments_marks_the_control_and_follows_the_hash(visit, site):
    page = visit(site, "#/experiments?experiment=exp_rest_timer")
    assert "exp_rest_timer" in page.text(".detail-head h2")
    assert page.page.locator(".legend .tag").count() == 4
    assert page.page.locator(".legend li").count() == 12
    page.page.get_by_role("link", name="exp_streak_badge").click()
    expect(page.page.locator(".detail-head h2")).to_contain_text("streak")
    assert "experiment=exp_streak_badge" in page.page.url
    assert "ended" in page.text(".detail-head")
    table = page.page.get_by_role("table", name="Variants")
    assert table.get_by_role("row").count() == 3


def test_every_number_of_a_readout_is_explained(visit, site):
    page = visit(site, "#/experiments?experiment=exp_first_workout")
    for summary in page.page.locator("#panel summary").all():
        summary.press("Enter")
    assert page.page.locator("#panel details[open]").count() == 9  # verdict, checks, metrics
    explained = page.text(".result:not(.axis) >> nth=0")
    assert "“session_submitted” in the 24 hours after the exposure" in explained
    assert "Days\n" in explained and "Users\n" in explained
    fixed = page.page.get_by_label("Fixed interval too")
    drawn = page.page.locator(".range.fixed")
    assert drawn.count() > 0 and not drawn.first.is_visible()
    fixed.press("Space")
    assert drawn.first.is_visible() and "Lower line: the fixed 95% interval" in page.text()
    assert page.axe() == []
    page.page.emulate_media(color_scheme="dark")
    assert page.axe("color-contrast") == []


def test_paper_has_the_state_and_forced_colours_keep_the_bars(visit, site):
    page = visit(site, "#/funnel?window=14&dimension=platform", color_scheme="dark")
    page.page.get_by_role("button", name="Table").last.click()
    page.page.emulate_media(forced_colors="active")
    colour = "(node) => getComputedStyle(node).backgroundColor"
    fill, track = (page.page.locator(part).first.evaluate(colour) for part in (".fill", ".track"))
    assert fill != track
    selected = page.page.locator("[role=tab]").evaluate_all(
        "(tabs) => tabs.map((tab) => getComputedStyle(tab).borderBottomColor)"
    )
    assert len(set(selected)) == 2 and selected.count(selected[2]) == 1
    page.page.emulate_media(media="print", forced_colors="none")
    said = "Funnel, 11 \u2013 24 Nov 2026 \u00b7 Filter: By platform \u00b7 Steps: In order"
    assert said in page.text(".paper") and "Days are UTC days" in page.text(".foot")
    controls = page.page.locator("button, select, input, .readout, .foot a")
    assert controls.locator("visible=true").count() == 0
    hidden = "(tables) => tables.filter((one) => one.scrollHeight > one.clientHeight + 1).length"
    assert page.page.locator(".scroll").evaluate_all(hidden) == 0
    assert page.page.locator(".uplot canvas").first.is_visible()
    page.page.set_viewport_size({"width": 718, "height": 1000})  # a page of A4
    assert not page.is_wider_than_the_screen()


def test_verdict_holds_for_every_window_in_print_and_in_forced_colours(visit, site):
    page = visit(site, "#/experiments?experiment=exp_rest_timer&window=90", color_scheme="dark")
    verdict, results = page.text(".verdict"), page.text(".results")
    page.page.locator("input[name=window]:checked").press("ArrowLeft")
    expect(page.page).to_have_url(re.compile("from=2026-10-26"))
    page.settle()
    assert (page.text(".verdict"), page.text(".results")) == (verdict, results)
    page.page.emulate_media(forced_colors="active")
    stroke = "(line) => [getComputedStyle(line).stroke, getComputedStyle(document.body).color]"
    zero, ink = page.page.locator(".zero").first.evaluate(stroke)
    assert zero == ink
    page.page.emulate_media(media="print", forced_colors="none")
    assert page.page.locator(".sentence").is_visible()
    assert not page.page.locator(".picker, .tabs, .figure-tools").locator("visible=true").count()
    assert page.page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 28, 30)"


def test_funnel_compares_variants_and_never_adds_days(visit, site):
    page = visit(site, "#/funnel?mode=same-day")
    names = page.page.locator(".steps h4").all_inner_texts()
    assert names[0] == "Active open" and names[-1] == "Achievement unlocked" and len(names) == 5
    assert page.page.input_value("#day") == "2026-11-23"  # the last one that is final
    page.page.select_option("#compare", "exp_first_workout")
    page.page.wait_for_selector("li .who")
    assert page.page.locator(".step:not(.heads)").count() == 10
    page.page.select_option("#day", "2026-11-24")
    page.page.wait_for_selector(".steps.unfinished")
    assert "Hollow: today" in page.text()
    assert "day=2026-11-24" in page.page.url and "experiment=exp_first_workout" in page.page.url


def test_link_has_the_days_and_the_tab_follows_the_calendar(visit, serve, demo_conninfo):
    page = visit(serve(demo_conninfo), "#/overview?window=7")
    link = "#/overview?from=2026-11-18&to=2026-11-24"
    expect(page.page).to_have_url(f"{page.address}{link}")
    assert page.page.locator("input[name=window]:checked").input_value() == "7"
    # A day later the tab follows the calendar, and the link does not.
    tomorrow = serve(demo_conninfo, now=NOW + timedelta(days=1))
    page.page.route("**/v1/**", lambda route: route.continue_(
        url=route.request.url.replace(page.address, tomorrow)))  # fmt: skip
    page.page.reload()
    expect(page.page).to_have_url(re.compile("from=2026-11-19&to=2026-11-25"))
    page.open(f"?shared{link}")
    assert page.page.input_value("#to") == "2026-11-24" and page.page.url.endswith(link)
    assert page.page.locator("input[name=window]:checked").count() == 0
    assert "18 \u2013 24 Nov 2026" in page.page.locator("#heading").inner_text()


def test_days_and_times_are_those_of_the_zone(visit, serve, copy):
    copy.execute("""
        do $$ declare one name;
        begin
            for one in select tablename from pg_tables where schemaname = 'analytics' loop
                execute format('comment on table analytics.%I is %L', one,
                    'Days are days of Europe/Berlin.');
            end loop;
        end $$
    """)
    # The next day has begun in Berlin.
    late = NOW.replace(hour=23, minute=30)
    page = visit(serve(copy.info.dsn, now=late, timezone=ZoneInfo("Europe/Berlin")), "#/ingestion")
    assert "Data as of 24 Nov 2026, 13:00 CET · 12 h ago" in page.text("#freshness")
    assert "Days are days of Europe/Berlin." in page.text(".foot") and "UTC" not in page.text()
    assert "from=2026-11-12&to=2026-11-25" in page.page.url
    assert page.page.get_attribute("#to", "max") == "2026-11-25"
    runs = page.page.get_by_role("table", name="Latest runs")
    assert "24 Nov, 13:00 CET" in runs.inner_text()
    page.page.locator("input[name=window][value='7']").check()
    expect(page.page).to_have_url(re.compile("from=2026-11-19&to=2026-11-25"))
    page.page.get_by_role("tab", name="Overview").click()
    page.page.wait_for_selector(".value")
    assert "the next run completes it" in page.text() and "today" not in page.text()
    assert "(12 \u2013 18 Nov 2026)" in page.text()


def test_range_can_be_typed_and_is_checked(visit, site):
    page = visit(site)
    first = page.page.get_by_label("From", exact=True)
    show = page.page.get_by_role("button", name="Show", exact=True)
    first.fill("2026-08-01")
    show.click()
    assert page.text("#range-error") == "1 to 90 days, the first one first."
    assert page.axe() == [] and "from=2026-11-11" in page.page.url
    first.fill("2026-11-12")
    assert page.text("#range-error") == ""
    page.page.get_by_label("To", exact=True).fill("2026-11-12")
    show.press("Enter")
    expect(page.page).to_have_url(re.compile("from=2026-11-12&to=2026-11-12"))
    page.settle()
    assert len(list(csv.DictReader(io.StringIO(page.download("CSV: New users"))))) == 1


def test_filter_says_what_it_applies_to(visit, site):
    page = visit(site)
    options = page.page.locator("#filter option").all_inner_texts()
    assert options[0] == "All users" and {"By platform", "platform: ios"} < set(options)
    page.page.select_option("#filter", "platform")
    page.page.wait_for_selector(".values")
    assert page.page.locator(".values").count() == 7
    assert "Not to ingestion lag" in page.text(".filter")
    assert page.page.locator(".tag", has_text="all users").count() == 2
    page.page.set_viewport_size(PHONE)
    for view, said in {
        "Funnel": "applies to everything",
        "Retention": "first event",
        "Experiments": "does not apply",
        "Ingestion": "does not apply",
    }.items():
        page.page.get_by_role("tab", name=view).click()
        expect(page.page.locator(".filter")).to_contain_text(said)
        assert page.axe() == [] and not page.is_wider_than_the_screen()
    page.page.get_by_role("link", name="Show all users").click()
    expect(page.page).not_to_have_url(re.compile("dimension"))
    page.open("?gone#/retention?dimension=platform%3Dgone")
    assert "No stored number of these days is about platform: gone" in page.text(".message")


def test_funnel_in_order_names_unfinished_days(visit, site):
    page = visit(site, "#/funnel?window=14")
    assert "Unfinished, and not in these numbers: 8 days, 17 \u2013 24 Nov 2026" in page.text()
    assert "6 entry days, 11 \u2013 16 Nov 2026" in page.text()
    assert page.page.locator("h4 small").count() == 4
    page.page.locator("input[name=window][value='7']").check()
    page.page.wait_for_selector(".steps.unfinished")
    assert "no entry day is finished yet" in page.text()
    assert "the first day is finished on 26 Nov" in page.text()
    page.page.select_option("#compare", "exp_first_workout")
    page.page.wait_for_selector("li .who")
    assert page.page.locator(".step:not(.heads)").count() == 10
    page.page.select_option("#mode", "same-day")
    page.page.wait_for_selector("#day")
    assert "counted on its own" in page.text()


def test_retention_marks_what_is_open_and_leaves_the_future_empty(visit, site):
    page = visit(site, "#/retention?window=30&period=week")
    table = page.page.get_by_role("table", name="Retention by cohort")
    texts = "[...row.cells].map((cell) => cell.textContent)"
    head, _, *cohorts = table.evaluate(f"(table) => [...table.rows].map((row) => {texts})")
    assert head == ["Cohort", "Users", "Week 1", "Week 2", "Week 3", "Week 4"]
    assert [row[0] for row in cohorts] == ["From 26 Oct", "From 2 Nov", "From 9 Nov",
                                           "From 16 Nov", "From 23 Nov"]  # fmt: skip
    assert cohorts[-1][2:] == [""] * 4 and "not over" in cohorts[-1][1]
    assert "not over" in cohorts[-2][2] and "%" in cohorts[-2][2] and cohorts[-2][3] == ""
    page.page.select_option("#period", "day")
    expect(page.page.locator("thead th").nth(2)).to_have_text("Day 1")


def test_ingestion_folds_names_in_the_chart_and_lists_all_of_them(visit, site):
    page = visit(site, "#/ingestion?window=30")
    assert "6 others" in page.text(".legend >> nth=0")
    table = page.page.get_by_role("table", name="Events by name")
    assert table.get_by_role("row").count() == 13
    runs = page.page.get_by_role("table", name="Latest runs")
    assert runs.get_by_role("row").count() == 5
    assert "older than 180 days" in runs.inner_text() and "succeeded" in runs.inner_text()
    rows = list(csv.DictReader(io.StringIO(page.download("CSV: Events by name"))))
    assert {row["event"] for row in rows} >= {"app_opened", "plan_browsed"} and len(rows) > 300


def test_theme_follows_the_system_while_the_page_is_open(visit, site):
    page = visit(site, color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.page.evaluate(colour)
    page.page.emulate_media(color_scheme="dark")
    assert page.page.evaluate(colour) != light
    assert page.page.locator(".uplot").count() == 9


def test_pointer_shows_the_values_of_a_day(visit, site):
    page = visit(site)
    page.page.locator(".u-over").first.hover(position={"x": 60, "y": 40})
    assert "Nov" in page.text(".readout:not([hidden])")
