"""Empty states, notices, errors and hostile names."""

import csv
import io
import re
from datetime import timedelta

import pytest
from dashboard import LIFT, NOW, PHONE, TOKEN, readouts
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
    for view in ("overview", "experiments", "funnel", "retention", "ingestion"):
        page.open(f"#/{view}")
        expect(page.page).to_have_title(re.compile(f"^{view}", re.I))
        page.settle()
        assert "No run yet" in page.text() and "python cli.py" in page.text()
    assert page.axe() == []
    gate = visit(address, token=None)
    assert "No run yet" in gate.text() and gate.page.locator(".gate").is_visible()


def test_app_of_another_kind_without_experiments(visit, serve, copy):
    copy.execute("truncate analytics.experiment_catalog, analytics.experiment_metric_rollups")
    address = serve(copy.info.dsn, key_events=("order_placed", "signup"))
    page = visit(address, "#/experiments")
    assert "No experiments yet" in page.text() and "do not need any" in page.text()
    page.open("#/funnel?experiment=exp_rest_timer")  # variants without a catalog keep their ids
    page.page.wait_for_selector("li .who")
    ours = "'session|exercise(_logged)?|workouts?', 'order'"
    copy.execute(f"""
        delete from analytics.funnel_rollups where experiment_id is not null;
        delete from analytics.funnel_conversion_rollups where dimension_key like '%:%';
        update analytics.funnel_rollups set step_name = regexp_replace(step_name, {ours});
        update analytics.funnel_conversion_rollups
        set step_name = regexp_replace(step_name, {ours});
        update analytics.funnel_steps set step_name = regexp_replace(step_name, {ours}),
            event_name = regexp_replace(event_name, {ours});
        update analytics.daily_metric_rollups
        set computed_at = clock_timestamp(), dimension_key = regexp_replace(dimension_key, {ours}),
            dimensions = jsonb_set(dimensions, '{{event_name}}',
                to_jsonb(regexp_replace(dimension_key, {ours})))
        where metric_name = 'event_volume_by_name'
    """)  # fmt: skip
    page.open("?shop#/overview")
    assert "event names is order_placed or signup, which" in page.text()
    copy.execute("update analytics.daily_metric_rollups set dimension_key = 'order_placed',"
                 " computed_at = clock_timestamp(),"
                 " dimensions = jsonb_set(dimensions, '{event_name}', '\"order_placed\"')"
                 " where dimension_key = 'order_submitted'")  # fmt: skip
    for token in (TOKEN, None):
        page.page.evaluate(f"sessionStorage.setItem('dashboard-token', '{token or ''}')")
        for view in ("overview", "experiments", "funnel", "funnel?mode=same-day", "retention",
                     "ingestion") if token else ("overview",):  # fmt: skip
            page.open(f"?{bool(token)}{view}#/{view}")
            words = page.page.locator("main").inner_html().lower()
            assert re.findall("session|workout|exercise|logging|logged", words) == [], view
            assert page.page.locator("#compare").count() == 0
            if "overview" in view:
                titles = page.page.locator("h3").all_inner_texts()
                assert "Order placed or signup" in titles
                assert "Order placed or signup within 24 h" in titles


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update analytics.experiment_catalog set status = 'DRAFT'", "Not started"),
        ("update analytics.experiment_catalog set variants = '[]';"
         "truncate analytics.experiment_readouts", "Nothing to compare"),
        ("truncate analytics.experiment_readouts, analytics.experiment_health",
         "python cli.py --job experiment --from DAY"),
        ("update analytics.experiment_health set covers_from = null, complete_from = '2026-10-02'",
         "--from 2026-10-02"),
        ("drop table analytics.experiment_readouts", "No verdict"),
    ],
)  # fmt: skip
def test_experiment_without_a_readout_says_what_to_do(visit, serve, copy, change, said):
    copy.execute(change)
    page = visit(serve(copy.info.dsn), "#/experiments", expected="503")
    assert said in page.text(".message") and page.page.locator(".verdict").count() == 0
    assert page.page.locator(".uplot").count() == 4
    assert page.axe() == []


def test_view_without_rows_says_what_to_run(visit, serve, copy):
    copy.execute(
        "truncate analytics.retention_rollups, analytics.active_user_rollups,"
        " analytics.funnel_conversion_rollups, analytics.daily_dimension_rollups"
    )
    page = visit(serve(copy.info.dsn), expected="503")
    days = "--from 2026-11-01 --to 2026-11-07"
    for link, said in {
        "overview?window=30": "--job retention --window-days 30",
        "overview?window=7&dimension=platform": "--job daily --window-days 7",
        "retention?window=7": "--job retention --window-days 90",
        "funnel?from=2026-11-01&to=2026-11-07": f"--job funnel {days}",
    }.items():
        page.open(f"?{link}#/{link}")
        assert f"python cli.py {said}" in page.text(".message >> nth=0")
    assert page.page.locator("#filter").count() == 0 and page.axe() == []
    copy.execute("drop table analytics.active_user_rollups")  # of an earlier version
    page.open("?earlier#/overview")
    assert "Active users" in page.text(".message") and page.page.locator(".uplot").count() == 6


def test_cell_that_was_not_computed_says_what_to_run(visit, serve, copy):
    copy.execute("delete from analytics.retention_rollups where cohort_start = '2026-11-10'"
                 " and period_number in (0, 3) and period = 'day'")  # fmt: skip
    page = visit(serve(copy.info.dsn), "#/retention?window=30")
    row = page.page.get_by_role("row", name="Tue 10 Nov").inner_text()
    assert row.count("?") == 15 and "%" not in row  # without its size a cohort has no shares
    said = "not computed, 2 cells. Run python cli.py --job retention --window-days 90"
    assert said in page.text()


def test_step_or_metric_that_no_event_matches_says_so(visit, serve, copy):
    copy.execute("update analytics.funnel_steps set event_name = 'lesson' || step where step > 2")
    copy.execute("update analytics.funnel_conversion_rollups set users_count = 0 where step > 2")
    copy.execute(
        "update analytics.funnel_rollups set users_count = 0 where step_name in"
        " ('exercise_logged', 'session_submitted', 'achievement_unlocked')"
    )
    copy.execute("delete from analytics.daily_metric_rollups"
                 " where dimension_key = 'session_submitted'")  # fmt: skip
    page = visit(serve(copy.info.dsn), viewport=PHONE)
    cards = page.page.locator("section.figure", has_text="which this metric counts")
    said = cards.all_inner_texts()
    assert [text.split("\n")[0] for text in said] == [
        "Session submitted",
        "Session submitted within 24 h",
    ]
    assert "None of your 11 event names is session_submitted" in said[0]
    for link in ("#/funnel", "#/funnel?mode=same-day"):
        page.open(f"?{link[2:]}{link}")
        steps = page.page.locator(".steps li").all_inner_texts()
        assert "None of your 11 event names is lesson3; set your own steps in" in steps[2]
        assert "seeds/funnel/funnel_steps.csv" in steps[3] and "0" not in steps[2]
        assert page.page.locator(".legend").first.inner_text() == "Workout engaged"
    assert page.axe() == [] and not page.is_wider_than_the_screen()


def test_window_without_rows(visit, serve, demo_conninfo):
    address = serve(demo_conninfo, now=NOW + timedelta(days=30))
    page = visit(address, "#/overview?window=7")
    assert "Nothing in these 7 days" in page.text()
    assert "overdue" in page.text("#notices") and "24 Nov 2026, 12:00 UTC" in page.text("#notices")
    assert "GitHub turns schedules off" in page.text("#notices")
    page.page.get_by_role("button", name="Show 90 days").click()
    page.page.wait_for_selector(".uplot")
    assert "the next run completes it" in page.text()


def test_notice_of_a_failed_run_says_whose_numbers_are_shown(visit, serve, copy):
    # The daily job logged its rows, the funnel job was killed after it wrote them. The Node worker
    # failed before our first run, and of another system's job the page says nothing.
    copy.execute(
        "update analytics.experiment_metric_rollups set computed_at = '2026-11-24 12:00+00'"
    )
    copy.execute(
        """
        insert into analytics.rollup_runs
            (job_name, status, started_at, finished_at, window_start, window_end, error_text,
                rows_written)
        select job_name, 'FAILED', as_of + interval '1 day', as_of + interval '25 hours',
            window_start, window_end + interval '1 day', %s,
            case when job_name = 'daily' then rows_written else 0 end
        from analytics.rollup_runs
        union all
        select name, status, started, started, now(), now(), 'elsewhere', 0
        from (values ('funnel_rollup', 'FAILED', timestamptz '2026-11-20'),
            ('daily_rollup', 'RUNNING', '2026-11-20'), ('cleanup', 'FAILED', '2026-11-25'))
            as other (name, status, started)
        """,
        [f"relation {BAD_NAME} does not exist"],
    )
    address = serve(copy.info.dsn, now=NOW + timedelta(hours=27))
    page = visit(address, "#/ingestion")
    failed = page.page.locator(".notice.bad").all_inner_texts()
    assert [text.split(" failed on 25 Nov 2026")[0] for text in failed] == [
        "The last run of the daily, funnel, and retention jobs",
        "The last run of the experiment job",
    ]
    assert "the numbers are those of this run" in failed[0]
    assert "the numbers are those of the last run that did" in failed[1]
    assert "overdue" in page.text("#notices") and "GitHub" not in page.text("#notices")
    assert "elsewhere" not in page.text("#notices") and "computed" not in page.text("#notices")
    page.page.locator("#notices summary").first.click()
    assert BAD_NAME in page.text("#notices")
    assert page.text("#panel").count("failed") == 6
    assert page.axe() == []
    assert "owned" not in page.page.title()


def test_hostile_names_are_shown_as_text(visit, serve, copy):
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
    for table in ("retention_rollups", "active_user_rollups", "daily_dimension_rollups",
                  "funnel_conversion_rollups"):  # fmt: skip
        copy.execute(f"update analytics.{table} set dimension_key = %s where dimension_key ="
                     " 'platform=ios'", ["platform=" + BAD_NAME])  # fmt: skip
    for table in ("experiment_catalog", "experiment_metric_rollups", "funnel_rollups"):
        copy.execute(
            f"update analytics.{table} set experiment_id = %s where experiment_id = %s",
            [BAD_NAME, "exp_rest_timer"],
        )
    for table in ("funnel_steps", "funnel_rollups", "funnel_conversion_rollups"):
        copy.execute(f"update analytics.{table} set step_name = %s where step_name = %s",
                     [BAD_NAME, "active_open"])  # fmt: skip
    address = serve(copy.info.dsn)
    page = visit(address, "#/ingestion", viewport=PHONE)
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
    for view in ("experiments", "funnel?mode=same-day", "funnel?dimension=platform",
                 "overview?dimension=platform", "retention?dimension=platform"):  # fmt: skip
        page.open(f"?{view}#/{view}")
        assert "<img src=x" in page.text("#panel")
        assert page.page.locator("#panel img").count() == 0
        assert not page.is_wider_than_the_screen()
    page.page.get_by_role("tab", name="Experiments").click()
    page.page.get_by_role("link", name="<img").click()
    expect(page.page.locator(".detail-head h2")).to_contain_text("<img")
    assert "owned" not in page.page.title()


SPLIT = [
    {"variant_id": one, "users": 1500, "crossover_users": 9, "weight": 1, "expected_share": 0.5,
     "share": share} for one, share in (("A", 0.527), ("B", 0.473))
]  # fmt: skip
WORSE = {"verdict": "worse", "lift": -0.08, "lift_always_low": -0.12, "lift_always_high": -0.03}
BETTER = {"verdict": "better"}
EARLY = {"verdict": "wait", "cohort_days": 4, "users": 112, "control_users": 100,
         "users_to_detect": 1715}  # fmt: skip
NO_TEST = dict.fromkeys(LIFT) | {"verdict": "wait"}
FIRST, REST, STREAK = "exp_first_workout", "exp_rest_timer", "exp_streak_badge"
VERDICTS = {
    "blocked": (FIRST, {"all": {"verdict": "blocked"}, "health": {
        "srm": "mismatch", "srm_p": 2.4e-5, "variants": SPLIT, "crossover": "alarm",
        "crossover_share": 0.031, "is_complete": False, "notes": ["Run `--from 2026-09-20`."]}},
        "Do not decide: users are split 52.7 : 47.3, planned was 50 : 50 (p = 2e-5) and 3.1% of"
        " the users were in more than one variant. Find out why first."),
    "worse": (REST, {"C returned_week_1": WORSE, "B logged_24h": BETTER},
        "C adaptive is worse than A off on Returned week 1: -8.0% (-12.0% to -3.0%), but B fixed is"
        " better than A off on GOAL: +24.0% (+11.8% to +36.2%)."),
    "better": (REST, {"B logged_24h": BETTER | {"lift": 0.1}, "C logged_24h": BETTER},
        "C adaptive is better than A off on GOAL: +24.0% (+11.8% to +36.2%)."),
    "wait": (REST, {"C logged_24h": EARLY},
        "Keep waiting for GOAL: 4 of 7 days, 212 of about 1,900 users, and 35 of 150"
        " conversions."),
    "too few": (FIRST, {"B logged_24h": NO_TEST | {"status": "too_few"}},
        "Keep waiting for GOAL: a variant has fewer than 30 users whose time is up."),
    "ended early": (STREAK, {"B logged_24h": EARLY | {"users_to_detect": 0, "value": 0.9,
        "users": 300}},
        "Ended too early to tell on GOAL: 4 of 7 days and 400 users."),
    "no difference": (FIRST, {"B sessions_7d": WORSE},
        "No clear difference yet between B guided and A list on GOAL: +24.0% (+11.8% to"
        " +36.2%), with 3,100 of about 3,900 users."),
    "ended": (STREAK, {"B logged_24h": {"users_to_detect": 0}},
        "Ended. No clear difference between B shown and A hidden on GOAL: +24.0% (+11.8% to"
        " +36.2%)."),
}  # fmt: skip


def test_verdict_says_first_what_matters_most(visit, site):
    page = visit(site, viewport=PHONE)
    for nth, (id, changes, sentence) in enumerate(VERDICTS.values()):
        answer = readouts(id, changes, "BC" if id == REST else "B")
        page.page.route("**/readouts?*", lambda route, _, json=answer: route.fulfill(json=json))
        page.open(f"?{nth}#/experiments?window=90&experiment={id}")  # another document
        said = page.text(".sentence").translate({0x2212: "-", 0x2011: "-", 0xA0: " "})
        assert said == sentence.replace("GOAL", "Session submitted within 24 h")
        missing = page.page.locator(".health code").all_inner_texts()
        assert missing == ["--from 2026-09-20"] * ("incomplete" in page.text(".health"))
        box = page.page.locator(".sentence").bounding_box()
        assert box["y"] + box["height"] < PHONE["height"]
        assert page.axe() == [] and not page.is_wider_than_the_screen()


FAULTS = {
    "network": ({"abort": True}, "Failed to load", ["The API does not answer"]),
    "timeout": ({}, "", ["The API takes too long"]),
    "refused": ({"status": 400, "json": {"error": "Invalid request", "message": "No such day."}},
                "400", ["The API refused this", "No such day."]),
    "database": ({"status": 503, "json": {"error": "Service Unavailable", "message": "It is away."}
                  }, "503", ["Service Unavailable", "It is away."]),
    "proxy": ({"status": 404, "body": "<html>"}, "404", ["Unreadable answer", "status 404"]),
    "page": ({"json": {"days": [{}]}}, "TypeError", ["This page failed", "TypeError"]),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "console", "said"), FAULTS.values(), ids=FAULTS)
def test_error_says_who_failed_and_offers_a_retry(visit, site, answer, console, said):
    page = visit(site, "#/ingestion", expected=console)
    if answer:
        page.page.route("**/v1/metrics/**", lambda route: (
            route.abort() if answer.get("abort") else route.fulfill(**answer)))  # fmt: skip
    else:
        page.page.evaluate("""
            window.real = AbortSignal.timeout;
            const ended = AbortSignal.abort(new DOMException('', 'TimeoutError'));
            void (AbortSignal.timeout = () => ended);
        """)
    page.page.get_by_role("button", name="Refresh").click()
    page.page.wait_for_selector(".message")
    assert [text for text in said if text not in page.text(".message")] == []
    assert ("refused" in page.text(".message")) == (said[0] == "The API refused this")
    assert page.axe() == []
    page.page.unroute_all()
    page.page.evaluate("if (window.real) AbortSignal.timeout = window.real")
    page.page.get_by_role("button", name="Try again").click()
    page.page.wait_for_selector(".uplot")


def test_error_outside_the_view_is_reported_as_the_page_s(visit, site):
    page = visit(site, "#/ingestion", expected="broken")
    page.page.evaluate("void (URL.createObjectURL = () => { throw new RangeError('broken') })")
    for _ in range(2):
        page.page.get_by_role("button", name="CSV: Latest runs").click()
    assert page.page.locator(".notice.bad").all_inner_texts() == [page.text("#fault")]
    assert "This page failed" in page.text("#fault") and "broken" in page.text("#fault")
    page.problems.remove("broken")  # twice: it is reported as an uncaught error too
    page.problems.remove("broken")


def test_link_that_cannot_be_honoured_says_what_is_shown_instead(visit, site):
    links = {
        "#/overview?window=31": ["not of 31. Shown: 14 days."],
        "#/nowhere?windw=7": ["no view nowhere. Shown: Overview.", "nothing called windw"],
        "#/experiments?experiment=exp_gone": ["no experiment exp_gone. Shown: exp_"],
        "#/funnel?funnel=gone&day=2026-01-01&experiment=exp_gone": [
            "no funnel gone. Shown: Core journey.",
            "carries the experiment exp_gone. Shown: all users.",
            "The day 2026-01-01 is not in these 14 days. Shown: Mon 23 Nov.",
        ],
        "#/overview?day=2026-11-20&window=7&window=14": [
            "Overview shows all of its days, not only 2026-11-20.",
            "The link gives window more than once. Shown: the last one.",
        ],
        "#/funnel?day=yesterday": ["The day yesterday is not in these 14 days. Shown: Mon 23 Nov."],
        f"#/experiments?experiment={'n' * 5000}": ["Shown: exp_"],
    }
    page = visit(site, viewport=PHONE)
    for nth, (link, said) in enumerate(links.items()):
        page.open(f"?{nth}{link}")  # another query is another document
        notices = page.page.locator(".notice.link").all_inner_texts()
        assert len(notices) == len(said)
        assert all(part in notice for part, notice in zip(said, notices, strict=True)), notices
        assert notices[0] in page.page.locator("#status").inner_text()
        assert not page.is_wider_than_the_screen()
    assert page.axe() == []
    page.page.get_by_role("tab", name="Overview").click()
    expect(page.page.locator(".notice.link")).to_have_count(0)


def test_age_of_the_data_grows_in_an_open_tab(visit, site):
    page = visit(site)
    page.page.clock.install()
    page.page.reload()
    page.settle()
    assert page.text("#freshness").endswith("just now")
    page.page.get_by_role("checkbox", name="Refresh every 5 minutes").uncheck()
    page.page.clock.run_for(5 * 60_000)
    assert page.text("#freshness").endswith("5 min ago")
    # No timer runs while the computer sleeps.
    page.page.clock.set_system_time(page.page.evaluate("Date.now()") / 1000 + 72 * 3600)
    page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.text(".old") == "3 days ago, out of date"
    assert "Loaded 3 days ago: press Refresh" in page.text("#freshness")
    assert page.axe() == []


def test_page_refreshes_itself_and_keeps_what_is_open(visit, serve, copy):
    page = visit(serve(copy.info.dsn), "#/experiments?window=7&experiment=exp_first_workout",
                 expected="ERR_FAILED")  # fmt: skip
    page.page.clock.install()
    page.page.reload()
    page.settle()
    asked = []
    page.page.on("request", lambda request: asked.append(request.url))
    tabled = page.page.get_by_role("button", name="Table: Second event")
    tabled.click()
    page.page.locator(".result summary").first.press("Enter")
    table = page.page.get_by_role("region", name="Table: Second event")
    table.evaluate("(table) => table.scrollTo(0, 60)")
    page.page.get_by_role("button", name="CSV: Variants").focus()
    page.page.evaluate("scrollTo(0, 400)")
    weight = page.page.get_by_role("table", name="Variants").locator("td").nth(0)

    def run(weight):
        copy.execute(
            f"""
            update analytics.experiment_catalog
            set variants = jsonb_set(variants, '{{0,weight}}', '{weight}');
            update analytics.experiment_metric_rollups set computed_at = clock_timestamp()
            """
        )

    def later():
        """Return whether the page asks within six minutes."""
        asked.clear()
        for _ in range(6 * 4):
            if not asked:  # or the answer would come too late by the clock
                page.page.clock.run_for(15_000)
        return bool(asked)

    def refresh():
        # Its last request, if late, would be taken for the first of the next refresh.
        with page.page.expect_request_finished(lambda request: "/readouts" in request.url):
            later()

    page.page.evaluate("document.querySelector('#panel').firstChild.mark = 1")
    refresh()
    refresh()  # nothing has changed, so the first one, which has ended, drew nothing
    assert page.page.evaluate("document.querySelector('#panel').firstChild.mark") == 1
    run("0.123")
    refresh()
    expect(weight).to_have_text("0.123")
    assert page.page.evaluate("scrollY") == 400
    assert table.is_visible() and table.evaluate("(table) => table.scrollTop") == 60
    assert tabled.get_attribute("aria-pressed") == "true"
    assert page.page.locator(".result details[open] dl").count() == 1
    expect(page.page.get_by_role("button", name="CSV: Variants")).to_be_focused()

    run("0.456")
    page.page.get_by_label("From", exact=True).fill("2026-11-01")
    assert not later() and page.page.input_value("#from") == "2026-11-01"
    page.page.get_by_role("button", name="Refresh", exact=True).click()
    expect(weight).to_have_text("0.456")
    page.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, writable: true })")
    assert not later()
    page.page.route("**/v1/metrics/**", lambda route: route.abort())
    page.page.evaluate("document.hidden = false")
    assert later()
    said = "Not refreshed since 12:00 UTC: The API does not answer"
    expect(page.page.locator("#freshness")).to_contain_text(said)
    assert weight.inner_text() == "0.456" and page.axe() == []
    page.page.unroute_all()
    refresh()
    expect(page.page.locator("#freshness")).not_to_contain_text("Not refreshed")


def test_api_without_from_and_to_gives_no_comparison(visit, site):
    page = visit(site, token=None, expected="400")
    body = {"error": "Invalid request", "message": "no"}
    page.page.route(
        "**/v1/metrics/daily?from=*", lambda route: route.fulfill(status=400, json=body)
    )
    page.page.evaluate(f"sessionStorage.setItem('dashboard-token', '{TOKEN}')")
    page.page.get_by_role("button", name="Refresh").click()
    page.page.wait_for_selector(".uplot")
    assert page.page.locator(".change", has_text="No comparison").count() == 6
