"""What the page computes is what SQL says, and its arithmetic holds at the edges."""

import psycopg


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


def test_variants_are_pooled_over_matured_cohorts(visit, site, demo_conninfo):
    query = """
        select
            sum(cast(dimensions ->> 'converted_users' as int)),
            sum(cast(dimensions ->> 'cohort_size' as int))
        from analytics.experiment_metric_rollups
        where
            experiment_id = 'exp_first_workout'
            and variant_id = 'B'
            and metric_name = 'logging_rate_24h_by_variant'
            and day >= '2026-11-11'
            and is_final
    """
    converted, cohort = one(demo_conninfo, query)
    page = visit(site, "#/experiments?window=14&experiment=exp_first_workout").page
    row = page.get_by_role("table", name="Variants").get_by_role("row").nth(2)
    cells = row.get_by_role("cell").all_inner_texts()
    assert [cells[2], cells[3]] == [f"{cohort:,}", f"{converted / cohort:.1%}"]


CLAIMS = {
    "numbers.js": [
        "m.median([3, 1, 2]) === 2 && m.median([1, 2, 3, 4]) === 2.5 && isNaN(m.median([]))",
        "m.weighted([0.5, 0], [10, 30]) === 0.125 && isNaN(m.weighted([0], [0]))",
        "m.isFinal({ dau: false }, 'dau') === false && m.isFinal(undefined, 'dau') === true",
        "m.reason('2026-11-24', 0, null, '2026-11-24T09:00:00Z') === 'today'",
        "m.reason('2026-11-23', 7, null, '2026-11-24T09:00:00Z') === 'cohort matures on 1 Dec'",
        "m.reason('2026-11-20', 1, null, '2026-11-24T09:00:00Z').includes('next run')",
        "m.difference({ k: 0, n: 0 }, { k: 1, n: 2 }) === null",
        # Newcombe's own example: 56 of 70 against 48 of 80 is 0.2, from 0.0524 to 0.3339.
        "m.difference({ k: 48, n: 80 }, { k: 56, n: 70 }).low.toFixed(4) === '0.0524'",
        "m.difference({ k: 48, n: 80 }, { k: 56, n: 70 }).high.toFixed(4) === '0.3339'",
        """m.topNames([{ metrics: {
            event_volume_by_name: JSON.parse('{"__proto__": 3, "7": 5}') } }], 1).rest[0]
            === '__proto__'""",
    ],
    "csv.js": [
        "m.cell('=1+1') === \"'=1+1\" && m.cell(-1) === '-1' && m.cell(null) === ''",
        "m.cell('a\"b,c') === '\"a\"\"b,c\"'",
    ],
    "format.js": [
        "m.count(1234.5) === '1,235' && m.count(12.34) === '12.3' && m.count(NaN) === '\\u2013'",
        "m.seconds(0.42) === '0.42 s' && m.seconds(200) === '3 min 20 s'",
        "m.seconds(7500) === '2 h 5 min' && m.seconds(86400) === '1 d'",
        "m.percent(0.0004) === '0.04%' && m.points(-0.012) === '\\u22121.2 pt'",
        "m.age('2026-11-24T09:00:00Z', new Date('2026-11-24T09:04:10Z')) === '4 min ago'",
    ],
    "state.js": [
        "m.read('#/funnel?window=30&experiment=a%26b').experiment === 'a&b'",
        "m.read('#/no?window=31&day=x').window === 14 && m.read('#/no').view === 'overview'",
        "m.write(m.read('#/funnel?window=30&day=2026-11-01')).endsWith('=30&day=2026-11-01')",
    ],
}  # fmt: skip


def test_arithmetic(visit, site):
    page = visit(site, token=None).page
    for module, claims in CLAIMS.items():
        for claim in claims:
            code = f"import('/static/{module}').then((m) => {claim})"
            assert page.evaluate(code) is True, claim
