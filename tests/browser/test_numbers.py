"""What the page computes, compared with SQL; arithmetic at the edges."""

import csv
import io

import psycopg
import pytest


def one(conninfo, query):
    with psycopg.connect(conninfo) as conn:
        return conn.execute(query).fetchone()


def test_overview_totals_are_those_of_the_tables(visit, site, demo_conninfo):
    dau, before, sessions, rate = one(
        demo_conninfo,
        """
        with daily as (
            select day, value, metric_name, dimensions,
                day between '2026-11-11' and '2026-11-24' as now,
                day between '2026-10-28' and '2026-11-09' as earlier
            from analytics.daily_metric_rollups
            where is_final
        )
        select
            avg(value) filter (where metric_name = 'dau' and now),
            avg(value) filter (where metric_name = 'dau' and earlier),
            sum(value) filter (where metric_name = 'sessions_submitted' and now),
            sum(cast(dimensions ->> 'converted_users' as int))
                filter (where metric_name = 'logging_rate_24h' and now)
            / sum(cast(dimensions ->> 'cohort_size' as float))
                filter (where metric_name = 'logging_rate_24h' and now)
        from daily
        """,
    )
    page = visit(site, "#/overview?window=14")
    values = page.page.locator(".value").all_inner_texts()
    assert values[0] == (f"{dau:,.0f}" if dau >= 100 else f"{dau:.1f}")
    assert values[2] == f"{sessions:,.0f}"
    assert values[3] == f"{rate:.1%}"
    assert f"{abs(dau / before - 1):.1%}" in page.text(".change >> nth=0")


def test_readouts_are_those_of_the_tables(visit, site, demo_conninfo):
    query = """
        select
            (
                select jsonb_object_agg(metric_name || variant_id, to_jsonb(readouts))
                from analytics.experiment_readouts as readouts
                where experiment_id = 'exp_rest_timer'
            ),
            (
                select variants from analytics.experiment_health
                where experiment_id = 'exp_rest_timer'
            )
    """
    readouts, sizes = one(demo_conninfo, query)
    page = visit(site, "#/experiments?window=7&experiment=exp_rest_timer")
    rows = list(csv.DictReader(io.StringIO(page.download("CSV: Against the control"))))
    assert len(rows) == len(readouts) == 8
    for row in rows:
        expected = readouts[row["metric_name"] + row["variant_id"]]
        for column, cell in row.items():
            is_text = isinstance(expected[column], str)
            value = cell or None if is_text or not cell else pytest.approx(float(cell), rel=1e-12)
            assert value == expected[column], column
    goal = readouts["logged_24hC"]
    shown = page.text(".result >> nth=2")
    assert f"{goal['value']:.1%}" in shown and f"control {goal['control_value']:.1%}" in shown
    assert f"{goal['lift']:+.1%} {goal['lift_always_low']:+.1%}".replace("-", "\u2212") in (
        " ".join(shown.split())
    )
    file = list(csv.DictReader(io.StringIO(page.download("CSV: Variants"))))
    assert [(row["variant"], int(row["users"]), int(row["crossover_users"])) for row in file] == [
        (size["variant_id"], size["users"], size["crossover_users"]) for size in sizes
    ]


def file(page, button):
    return list(csv.DictReader(io.StringIO(page.download(f"CSV: {button}"))))


def cells(text):
    return float(text) if text else None


@pytest.mark.parametrize(
    ("metric", "title", "rows"),
    [
        *((metric, title, f"daily_dimension_rollups where metric_name = '{metric}'")
          for metric, title in {"dau": "Daily", "new_users": "New",
                                "logging_rate_24h": "Session submitted within",
                                "sessions_submitted": "Session submitted"}.items()),
        *((period, title, f"active_user_rollups where period = '{period}'")
          for period, title in {"week": "Weekly", "month": "Monthly"}.items()),
    ],
)  # fmt: skip
def test_values_of_a_dimension_are_those_of_the_tables(
    visit, site, demo_conninfo, metric, title, rows
):
    column = "value" if "metric_name" in rows else "users_count"
    query = f"""
        select jsonb_object_agg(day || ' ' || split_part(dimension_key, '=', 2), {column})
        from analytics.{rows} and dimension_key like 'platform=%' and day >= '2026-11-11'
    """
    (expected,) = one(demo_conninfo, query)
    page = visit(site, "#/overview?window=14&dimension=platform")
    found = {f"{row['day']} {value}": cells(cell) for row in file(page, title)
             for value, cell in row.items() if value not in ("day", "state")}  # fmt: skip
    # A value that no event of a day has: no users, and no rate.
    absent = None if metric == "logging_rate_24h" else 0
    assert len(expected) > 20
    assert found == dict.fromkeys(found, absent) | expected


def test_active_users_are_those_of_the_table(visit, site, demo_conninfo):
    week, month, sticky = one(demo_conninfo, """
        with days as (
            select day, sum(users_count) filter (where period = 'week') as week,
                sum(users_count) filter (where period = 'month') as month,
                sum(users_count) filter (where period = 'day') as daily
            from analytics.active_user_rollups
            where dimension_key = 'overall' and is_final and day >= '2026-11-11'
            group by day
        )
        select max(week) filter (where day = '2026-11-23'),
            max(month) filter (where day = '2026-11-23'), avg(1.0 * daily / month)
        from days
    """)  # fmt: skip
    page = visit(site, "#/overview?window=14")
    values = page.page.locator(".value").all_inner_texts()[-3:]
    assert values == [f"{week:,}", f"{month:,}", f"{sticky:.1%}"]


@pytest.mark.parametrize(
    ("choice", "keys"),
    [("", "dimension_key = 'overall'"), ("&dimension=platform", "dimension_key like 'platform=%'"),
     ("&dimension=platform%3Dios", "dimension_key = 'platform=ios'"),
     ("&experiment=exp_first_workout", "dimension_key like 'exp_first_workout:%'")],
)  # fmt: skip
def test_funnel_in_order_is_that_of_the_table(visit, site, demo_conninfo, choice, keys):
    query = f"""
        with steps as (
            select dimension_key, step, step_name, sum(users_count) as users,
                percentile_cont(0.5) within group (order by median_seconds) as seconds
            from analytics.funnel_conversion_rollups
            where is_final and day >= '2026-10-26' and {keys}
            group by 1, 2, 3
        )
        select jsonb_object_agg(regexp_replace(dimension_key, '^(platform=|.*:)', '') || step_name,
            array[users, 1.0 * users / (select users from steps as before
                where before.dimension_key = steps.dimension_key and before.step = 1), seconds])
        from steps
    """
    (expected,) = one(demo_conninfo, query)
    page = visit(site, f"#/funnel?window=30{choice}")
    rows = file(page, "Core journey")
    group = [key for key in rows[0] if key in ("variant", "value")]
    found = {}
    for row in rows:
        key = row[group[0]] if group else "ios" if "ios" in choice else "overall"
        numbers = [row["users"], row["from_first_step"], row["median_seconds"]]
        found[key + row["step"]] = [float(number) for number in numbers]
    assert len(expected) in (5, 10, 15)
    assert found == {key: pytest.approx(value) for key, value in expected.items()}


@pytest.mark.parametrize("period", ["day", "week"])
def test_retention_is_that_of_the_table(visit, site, demo_conninfo, period):
    query = f"""
        select jsonb_object_agg(cell.cohort_start || ' ' || cell.period_number,
            array[cell.users_count, round(100.0 * cell.users_count / size.users_count)])
        from analytics.retention_rollups as cell
        inner join analytics.retention_rollups as size
            using (period, cohort_start, dimension_key)
        where period = '{period}' and dimension_key = 'overall' and size.period_number = 0
            and cell.period_number > 0 and cohort_start >= '2026-10-26'
    """
    (expected,) = one(demo_conninfo, query)
    page = visit(site, f"#/retention?window=30&period={period}")
    rows = file(page, f"Retention by {period}")
    assert {
        f"{row['cohort']} {row[period]}": [int(row["users"]), pytest.approx(
            100 * float(row["retention"]), abs=0.5001)]
        for row in rows if row[period] != "0"
    } == expected  # fmt: skip
    shown = page.page.locator(".triangle tr:not(.pooled) .cell").evaluate_all(
        "(cells) => cells.map((cell) => [cell.firstChild.data, cell.children[0].innerText])"
    )
    order = sorted(expected, key=lambda key: (key[:10], int(key[11:])))
    assert [int(users) for _, users in shown] == [expected[key][0] for key in order]
    assert [float(share[:-1]) for share, _ in shown] == [
        pytest.approx(expected[key][1], abs=0.5001) for key in order
    ]
    pooled = {}
    for row in rows:
        if row["state"] == "final":
            users, size = pooled.get(row[period], (0, 0))
            pooled[row[period]] = users + int(row["users"]), size + int(row["cohort_size"])
    top = page.page.locator(".pooled .cell").all_inner_texts()
    assert [int(text.split()[1].replace(",", "")) for text in top] == [
        pooled[str(n)][0] for n in range(1, len(top) + 1)
    ]
    assert [float(text.split("%")[0]) for text in top] == [
        pytest.approx(100 * users / size, abs=0.5001)
        for users, size in (pooled[str(n)] for n in range(1, len(top) + 1))
    ]


@pytest.mark.parametrize(
    ("title", "metric", "count", "users", "size"),
    [
        ("Session submitted within", "logging_rate_24h_by_variant", "converted_users",
         "value * cohort", "cohort"),
        ("Second event", "users_active_d1", "users_active_d1", "value", "cohort"),
        ("Session submitted in", "sessions_submitted_d7", "sessions_submitted_d7", "value",
         "cohort"),
        ("Share of assigned", "users_assigned", "users_assigned", "value", "assigned"),
    ],
)  # fmt: skip
def test_variants_of_different_size_are_drawn_per_user(
    visit, site, demo_conninfo, title, metric, count, users, size
):
    page = visit(site, "#/experiments?window=7&experiment=exp_first_workout")
    rows = list(csv.DictReader(io.StringIO(page.download(f"CSV: {title}"))))
    query = f"""
        with cohorts as (
            select cast(day as text), variant_id, value,
                sum(value) over (partition by day) as assigned,
                cast(dimensions ->> 'cohort_size' as float) as cohort
            from analytics.experiment_metric_rollups
            where experiment_id = 'exp_first_workout' and metric_name = '{metric}'
                and day >= '2026-11-18'
        )
        select jsonb_object_agg(day || variant_id, array[{users} / {size}, {users}])
        from cohorts
        where cohort > 0
    """
    (expected,) = one(demo_conninfo, query)
    assert len(expected) > 10 and expected == {
        row["day"] + row["variant"]: pytest.approx(
            [float(list(row.values())[2]), float(row[count])]
        )
        for row in rows
        if int(row["cohort"])
    }


CLAIMS = {
    "numbers.js": [
        "m.median([3, 1, 2]) === 2 && m.median([1, 2, 3, 4]) === 2.5 && isNaN(m.median([]))",
        "m.weighted([0.5, 0], [10, 30]) === 0.125 && isNaN(m.weighted([0], [0]))",
        "m.isFinal({ dau: false }, 'dau') === false && m.isFinal(undefined, 'dau') === true",
        "m.reason('2026-11-24', 0, null, '2026-11-24T09:00:00Z') === 'today'",
        "m.reason('2026-11-23', 7, null, '2026-11-24T09:00:00Z') === 'cohort matures on 1 Dec'",
        "m.reason('2026-11-20', 1, null, '2026-11-24T09:00:00Z').includes('next run')",
        """String(m.eventTotals([{ metrics: {
            event_volume_by_name: JSON.parse('{"__proto__": 3, "7": 5}') } }]).byName)
            === '7,5,__proto__,3'""",
        "String(m.first([1, 2, 3, 4], 2, 4)) === '1,4' && String(m.first([1], 2, 9)) === '1'",
        """m.pooled([{ cells: new Map([[1, { users_count: 1, cohort_size: 2 }]]) },
            { cells: new Map([[1, { users_count: 5, cohort_size: 8, is_final: false }],
            [2, { users_count: 5, cohort_size: null }]]) }], 3).cells.get(1).retention === 0.5""",
        "m.weeksBack(14) === 14 && m.weeksBack(30) === 35 && m.weeksBack(1) === 7",
        "String(m.ends([1, 2, 3, 4], 3)) === '1,2,4' && String(m.ends([1, 2], 2)) === '1,2'",
    ],
    "labels.js": [
        "m.setKeyEvents(['order_placed']) || m.title('sessions_submitted') === 'Order placed'",
        "m.setKeyEvents(['a', 'b$&']) || m.title('logged_24h') === 'A or b$& within 24 h'",
        "m.setKeyEvents([]) || m.title('sessions_7d') === 'Key event in seven days'",
        "m.metricTitle({ metric_name: 'logged_24h', event_name: 'x' }) === 'Logged 24h'",
    ],
    "csv.js": [
        "m.cell('=1+1') === \"'=1+1\" && m.cell(-1) === '-1' && m.cell(null) === ''",
        "m.cell('a\"b,c') === '\"a\"\"b,c\"'",
        "m.cell('\\n=1') === '\"\\'\\n=1\"' && m.cell(' \uff1d1') === \"' \uff1d1\"",
    ],
    "notices.js": [
        """m.failures([{ job_name: '', status: 'FAILED', rows_written: 0, window_end: '2026-10' }])
            .at(0).text.endsWith('not known whether it wrote its rows.')""",
        """m.running([{ job_name: 'a', status: 'RUNNING', started_at: '2026-11-20T00:00:00Z' }],
            { jobs: [{ job_name: 'a' }], generated_at: '2026-11-24T00:00:00Z' })
            [0].includes('logged no end')""",
    ],
    "format.js": [
        "m.count(1234.5) === '1,235' && m.count(12.34) === '12.3' && m.count(NaN) === '\\u2013'",
        "m.seconds(0.42) === '0.42 s' && m.seconds(200) === '3 min 20 s'",
        "m.seconds(7500) === '2 h 5 min' && m.seconds(86400) === '1 d'",
        "m.percent(0.0004) === '0.04%' && m.points(-0.012) === '\\u22121.2 pt'",
        "m.relative(-0.012) === '\\u22121.2%' && m.relative(null) === '\\u2013'",
        "m.pValue(2.4e-5) === '2e-5' && m.pValue(0) === '< 1e-15' && m.pValue(0.0089) === '0.0089'",
        "m.precise(0.01234) === '0.0123' && m.precise(12345.6) === '12,346'",
        "m.setZone('Europe/Berlin') || m.hoursOf('2026-10-25') === 25",
        "m.hoursOf('2026-03-29') === 23 && m.hoursOf('2026-03-30') === 24",
        "m.time('2026-10-25T00:30Z').endsWith('02:30 CEST')",
        "m.time('2026-10-25T01:30Z').endsWith('02:30 CET')",
        "m.firstDay('2026-10-24T22:00Z') === '2026-10-25'",
        "m.lastDay('2026-10-25T23:00Z') === '2026-10-25'",
        "m.dayIn('2026-10-24T22:00Z') === '2026-10-25'",
        # There the clocks change at midnight.
        "m.setZone('Africa/Cairo') || m.startOf('2026-04-24') === Date.parse('2026-04-23T22:00Z')",
        "m.hoursOf('2026-04-24') === 23 && m.hoursOf('2026-10-29') === 25",
        "m.setZone('Asia/Kolkata') || m.hour('2026-11-24T12:00Z') === '17:30 GMT+5:30'",
        "m.setZone('Moon/Crater') || !m.zone.known && m.hour('2026-11-24T12:00Z') === '12:00 UTC'",
        "m.setZone('UTC') || m.zone.known",
        "m.age('2026-11-24T09:00:00Z', new Date('2026-11-24T09:04:10Z')) === '4 min ago'",
    ],
    "definitions.js": [
        """m.meaning({ measure: 'ratio', event_name: 'a|b', denominator_event_name: '',
            delay_hours: 24, window_hours: 168 }) === 'How often “a” or “b” happened, divided by '
            + 'how often any event happened, from 24 hours to 8 days after the exposure.'""",
        """m.meaning({ measure: 'count', event_name: '$key_event', delay_hours: 0, window_hours: 30,
            cap: 9 }).endsWith('in the 30 hours after the exposure, at most 9 times counted.')""",
    ],
    "state.js": [
        "m.read('#/funnel?window=30&experiment=a%26b').experiment === 'a&b'",
        "m.read('#/funnel?window=31&day=x').window === 14 && m.read('#/no').view === 'overview'",
        "String(m.read('#/no?window=7.0&b=1').unknown) === 'view,no,window,7.0,b,1'",
        "m.read('').unknown.length === 0 && m.read('#/funnel?window=7').unknown.length === 0",
        "m.write(m.read('#/funnel?window=30&day=2026-11-01'))"
        ".endsWith('=30&mode=same-day&day=2026-11-01')",
        "m.length('2026-02-28', '2026-03-01') === 2 && isNaN(m.length('2026-02-30', '2026-03-1'))",
        "m.length('2026-09-01', '2026-11-29') === 90",
        "isNaN(m.length('2026-09-01', '2026-11-30')) && isNaN(m.length('', '2026-11-30'))",
        "m.read('#/funnel?from=2026-11-02&to=2026-11-01').unknown[0][0] === 'range'",
        "m.read('#/?from=2026-11-01&to=2026-11-02&window=7').unknown[0][0] === 'both'",
        "m.read('#/?dimension=exp%3AA').unknown[0][0] === 'dimension'",
    ],
    "dimension.js": [
        "m.label('a=%28none)') === '“(none)”' && m.label('a=(none)') === '(none)'",
        "m.label('a=') === '“”' && m.label('a=b=c%3A%2528') === 'b=c:%28'",
        "m.parse('e%3A1:v%251').variant === 'v%1' && m.parse('e=1:v').dimension === undefined",
        "m.matches('a', 'a=b') && !m.matches('a', 'ab=c') && m.matches('', 'overall')",
    ],
}  # fmt: skip


def test_arithmetic(visit, site):
    page = visit(site, token=None).page
    for module, claims in CLAIMS.items():
        for claim in claims:
            code = f"import('/static/{module}').then((m) => {claim})"
            assert page.evaluate(code) is True, claim
