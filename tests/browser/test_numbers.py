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


@pytest.mark.parametrize(
    ("title", "metric", "count", "users", "size"),
    [
        ("24-hour logging rate", "logging_rate_24h_by_variant", "converted_users", "value * cohort",
         "cohort"),
        ("Second event", "users_active_d1", "users_active_d1", "value", "cohort"),
        ("Sessions in seven", "sessions_submitted_d7", "sessions_submitted_d7", "value", "cohort"),
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
        "String(m.ends([1, 2, 3, 4], 3)) === '1,2,4' && String(m.ends([1, 2], 2)) === '1,2'",
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
        "m.write(m.read('#/funnel?window=30&day=2026-11-01')).endsWith('=30&day=2026-11-01')",
    ],
}  # fmt: skip


def test_arithmetic(visit, site):
    page = visit(site, token=None).page
    for module, claims in CLAIMS.items():
        for claim in claims:
            code = f"import('/static/{module}').then((m) => {claim})"
            assert page.evaluate(code) is True, claim
