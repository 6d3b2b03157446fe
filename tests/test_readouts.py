"""The read-outs: the oracle against published numbers, the SQL against the oracle."""

import math
import os
import shutil
from datetime import timedelta
from fractions import Fraction
from random import Random, randrange
from types import SimpleNamespace

import pytest
from oracle import window_dates
from psycopg import sql
from readouts_oracle import Arm, Metric, Statistic, Variant, compare, holm, split, status_of
from tables import (
    DIMENSIONS,
    METRICS,
    NOTHING,
    NOW,
    ROLLUPS,
    SEED,
    App,
    connect,
    differences,
    event,
    funnels,
    metrics,
    stored,
    with_readouts,
)
from users_oracle import conversions

from dbt_project import ROOT, runner
from dbt_project.database import dbt_environment
from dbt_project.source import TABLES, copy_rows, create_source_tables

DAY, TODAY = timedelta(days=1), NOW.date()
CLOSE = {"rel": 1e-9, "abs": 1e-12}
CHANCE = 7 if "CI" in os.environ else randrange(2**32)
# Beside the project's own metrics, one of each kind that it does not have.
LINES = """\
clicked,any,click,,0,24,,increase,goal
clicks_per_action,ratio,click,click|view,0,24,,increase,goal
errors,count,error,,0,24,,decrease,guardrail
"""
# Funnels that return to a step, whose steps share events, of one step, and of any length.
FUNNELS = """\
six,10,first,a,30
six,20,then,b|c,30
six,30,again,a,30
six,40,there,c,30
six,50,and,d,30
six,60,back,a|d,30
one,1,only,b,0.5
page,1,viewed,view,0.25
page,2,seen,view|click,0.25
page,3,clicked,click,0.25
long,2,end,d|c,4296
long,1,start,a|b,4296
"""


def metric(measure, desired="increase"):
    return Metric("m", measure, "click", "click|view", 0, 24, None, desired, "goal")


def arm(n, total, squares, second=0, second_squares=0, products=0):
    """An arm from sums, as published numbers give it."""
    return Arm(
        n,
        Fraction(total, n),
        squares - Fraction(total**2, n),
        Fraction(second, n),
        second_squares - Fraction(second**2, n),
        products - Fraction(total * second, n),
    )


# Computed with GrowthBook's gbstats, spotify-confidence, tea-tasting, scipy and statsmodels.
CLICKED = {
    "value": 0.3097463284379172, "control_value": 0.2797118847539016,
    "difference": 0.030034443684015644, "difference_low": 0.007526365303798705,
    "difference_high": 0.052542522064232586, "p_value": 0.008921931924289191,
    "lift": 0.10737635875015035, "lift_low": 0.022834743416468975,
    "lift_high": 0.1919179740838317, "lift_always_low": -0.02363693718743827,
    "lift_always_high": 0.23838965468773898, "p_always": 0.19828762653886753,
    "chance_to_win": 0.9936099095578164, "mde": 0.12082078398976061,
    "users_to_detect": 2909.400414817,
}  # fmt: skip
CLICKS_PER_ACTION = {
    "value": 0.23649337410805302, "control_value": 0.2185741088180113,
    "difference": 0.01791926529004173, "difference_low": 0.004506850448413561,
    "difference_high": 0.0313316801316699, "p_value": 0.00883850741553338,
    "lift": 0.08198256136989047, "lift_low": 0.018146145881333328,
    "lift_high": 0.14581897685844764, "lift_always_low": -0.016944291079309587,
    "lift_always_high": 0.18090941381909054, "p_always": 0.18614502668172378,
    "chance_to_win": 0.9940919462448332, "mde": 0.09123058682719919, "users_to_detect": 0,
}  # fmt: skip
SRM = {"srm_chi2": 17.84070796460177, "srm_df": 1, "srm_p": 2.4018927875713908e-05}
PUBLISHED = {
    "a share": ("any", arm(3332, 932, 932), arm(2996, 928, 928), CLICKED),
    "a ratio": ("ratio", arm(3332, 932, 932, 4264, 6128, 1864),
                arm(2996, 928, 928, 3924, 5780, 1856), CLICKS_PER_ACTION),
    "uneven arms": ("any", arm(100_000, 5_000, 5_000), arm(50, 6, 6), {
        "difference": 0.07, "difference_low": -0.0223623809837961,
        "difference_high": 0.16236238098379607, "p_value": 0.1341820168687533,
        "lift": 1.4, "lift_low": -0.44823591773765625, "lift_high": 3.248235917737656,
    }),
    "what was before": (
        "count", arm(40, 280, 2246, 214, 1342, 1705), arm(44, 361, 3217, 241, 1481, 2147),
        {"cuped_lift": 0.15280544844599714, "cuped_lift_low": 0.06096426871087286,
         "cuped_lift_high": 0.24464662818112143},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("measure", "control", "treatment", "wanted"), PUBLISHED.values(),
                         ids=PUBLISHED)  # fmt: skip
def test_the_oracle_gives_published_numbers(measure, control, treatment, wanted):
    found = compare(control, treatment, metric(measure))
    assert status_of(control, treatment, measure) == "ok"
    numbers = {name: number for name, number in wanted.items() if name in found}
    assert {name: found[name] for name in numbers} == pytest.approx(numbers, **CLOSE)
    low = compare(control, treatment, metric(measure, "decrease"))
    assert low["chance_to_win"] == pytest.approx(1 - found["chance_to_win"], **CLOSE)


@pytest.mark.parametrize(
    ("users", "weights", "chi2", "p", "verdict"),
    [
        ((3332, 2996), (0.5, 0.5), 17.84070796460177, 2.4018927875713908e-05, "mismatch"),
        ((500, 500), (0.5, 0.5), 0.0, 1.0, "ok"),
        ((3500, 3200, 3300), (0.34, 0.33, 0.33), 5.971479500891238, 0.05050213075383813, "ok"),
        ((9, 2), (0.5, 0.5), 4.454545454545454, 0.03480847881186725, "too_few"),
    ],
)
def test_the_oracle_gives_published_sample_ratios(users, weights, chi2, p, verdict):
    variants = [Variant(f"{nth}", nth == 0, weight) for nth, weight in enumerate(weights)]
    rows = {
        (NOW.date(), f"{nth}"): Statistic(n, *[0] * 9, NOW, True) for nth, n in enumerate(users)
    }
    found = split(rows, variants)
    assert [found["srm_chi2"], found["srm_p"]] == pytest.approx([chi2, p], **CLOSE)
    assert (found["srm_df"], found["srm"]) == (len(users) - 1, verdict)


def test_the_oracle_adjusts_published_p_values():
    p_values = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    wanted = [0.01, 0.072, *[0.312] * 5, *[0.615] * 3]
    assert holm(p_values) == pytest.approx(wanted, **CLOSE)
    assert holm(p_values[::-1]) == pytest.approx(wanted[::-1], **CLOSE)


def test_the_oracle_tells_why_there_is_no_number():
    assert status_of(arm(100, 0, 0), arm(100, 5, 5), "any") == "zero_control"
    assert status_of(arm(1, 7, 49), arm(20, 100, 700), "count") == "too_few"


HOMEPAGE = """
with users as (
    select
        variant || n as id, variant, n <= clickers as has_clicked,
        timestamp '2026-11-13' + n % 8 * interval '1 day' + n * interval '1 second' as at
    from (values ('control', 3332, 932), ('experiment', 2996, 928))
        as arms (variant, size, clickers)
    cross join generate_series(1, size) as n
), assigned as (
    insert into assignments (id, anonymous_user_id, experiment_id, variant_id, assigned_at)
    select id, id, 'homepage_actions', variant, at from users
)
insert into event_logs (
    id, anonymous_user_id, session_id, install_id, platform, event_name, occurred_at, received_at
)
select id || name, id, id, id, 'web', name, at + interval '1 minute', at + interval '1 minute'
from users cross join (values ('view'), ('click')) as names (name)
where name = 'view' or has_clicked
"""


@pytest.fixture(scope="module")
def project(lasting_database, tmp_path_factory):
    """A copy of the project with more metrics, which has built the homepage's experiment."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("models", "macros", "seeds", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.py"))
    shutil.copy(ROOT / "dbt_project.yml", folder)
    seed = folder / METRICS.relative_to(ROOT)
    with seed.open("a") as file:
        file.write(LINES)
    steps = folder / SEED.relative_to(ROOT)
    with steps.open("a") as file:
        for line in FUNNELS.splitlines():
            *step, names, hours = line.split(",")
            file.writelines(f"{','.join(step)},{name},{hours}\n" for name in names.split("|"))
    place = ("--project-dir", f"{folder}", "--target-path", f"{folder}/target", *runner.QUIET)
    with connect(lasting_database()) as conn:

        def build(*models):
            command = ["build", "--select", *models, "--exclude-resource-type", "unit_test"]
            command += [*place, "--vars", f"{{as_of: '{NOW}'}}"]
            outcome = runner.dbt(command, dbt_environment(conn))
            assert outcome.success, [result.message for result in outcome.result.results]
            return stored(conn)

        create_source_tables(conn, "public")
        source = App(conn)
        source.experiment("homepage_actions", ("control", "experiment"))
        source.do(HOMEPAGE)
        rng = Random(CHANCE)
        source.events(*(wandering(rng, f"{nth % 60}") for nth in range(2_000)))
        wanted = conversions(source.rows(), NOW, window_dates(NOW, 14), funnels(steps), DIMENSIONS)
        found = build("experiment", "funnel_steps", "funnel_conversion_rollups")
        yield SimpleNamespace(
            source=source, build=build, metrics=metrics(seed), homepage=found, conversions=wanted
        )


def wandering(rng, user):
    """An event of a user in any funnel, at a moment that other events have, or nearly."""
    nudge = timedelta(milliseconds=rng.choice((0, 0, 0, 1, -1)))
    at = NOW.replace(hour=0, minute=0) - rng.randrange(-3, 36) * DAY / 4 + nudge
    mapping = rng.choice((None, {"x": "A"}, {"x": "B", "y": "A"}, ["A"], 1))
    values = {"platform": rng.choice(("ios", "web", "")), "version": f"{rng.expovariate(0.1):.0f}"}
    return event(at, rng.choice("abcd"), user, mapping=mapping, **values)


def test_a_real_experiment_gives_its_published_numbers(project):
    for name, wanted in (("clicked", CLICKED), ("clicks_per_action", CLICKS_PER_ACTION)):
        row = project.homepage.readouts["homepage_actions", name, "experiment"]
        assert {name: row[name] for name in wanted} == pytest.approx(wanted, **CLOSE)
        assert (row["users"], row["control_users"], row["cohort_days"]) == (2996, 3332, 8)
        assert (row["status"], row["verdict"]) == ("ok", "blocked")
    health = project.homepage.health["homepage_actions",]
    assert {name: health[name] for name in SRM} == pytest.approx(SRM, **CLOSE)
    assert (health["srm"], health["users"], health["is_complete"]) == ("mismatch", 6328, True)


def test_any_funnels_give_the_oracles_conversions(project):
    found, wanted = (
        NOTHING._replace(conversions=rows)
        for rows in (project.homepage.conversions, project.conversions)
    )
    off = differences(found, wanted)
    assert not off, f"{CHANCE=}: {off[:20]}"
    reached = {key[1:3] for key, row in found.conversions.items() if row.users_count}
    assert {("six", "back"), ("one", "only"), ("page", "clicked"), ("long", "end")} <= reached


# A number's size and spread, per user: none, all the same, usual, and large with little spread.
SHAPES = ((0, 0), (3, 0), (0.4, 0.9), (2.5, 3), (1e6, 0.29), (1e6, 1e-3))
SHARES = ((0, 0), (1, 0), (0.5, 0), (0.3, 0), (0.01, 0))


def test_any_statistics_give_the_oracles_read_outs(project):
    rng, source, lines = Random(CHANCE), project.source, project.metrics
    source.do(f"truncate analytics.experiment_statistics, {', '.join(TABLES)}")
    rows = {}
    for nth in range(60):
        rows |= random_experiment(source, rng, f"e{nth}", lines)
    columns = ", ".join((*ROLLUPS["experiment_statistics"], "computed_at"))
    table = sql.SQL(f"analytics.experiment_statistics ({columns})")
    values = ((*key, *row[:10], f"{NOW}+00:00", row.is_final, f"{NOW}+00:00")
              for key, row in rows.items())  # fmt: skip
    copy_rows(source.conn, table, values)
    found = project.build("experiment_catalog", "experiment_readouts", "experiment_health")

    wanted, nudged = (
        with_readouts(NOTHING._replace(statistics=rows), source.rows(), NOW, lines)
        for rows in (rows, {key: nudged_row(key[2] == "A", row) for key, row in rows.items()})
    )
    off = []
    for is_rows, should_be, may_be in zip(found[-2:], wanted[-2:], nudged[-2:], strict=True):
        assert is_rows.keys() == should_be.keys()
        off += [
            (key, name, is_rows[key][name], value)
            for key, row in should_be.items()
            for name, value in row.items()
            if not near(is_rows[key][name], value, may_be[key][name], slack(row, name))
        ]
    assert not off, f"{CHANCE=}: {off}"


def nudged_row(up, row):
    """The row with another last bit in its means, unless they are whole."""
    signs = {"mean": up, "denominator_mean": not up, "pre_mean": not up}
    means = {name: getattr(row, name) for name in signs}
    changed = {name: mean * (1 + (4e-16 if signs[name] else -4e-16))
               for name, mean in means.items() if mean is not None and mean % 1}  # fmt: skip
    return row._replace(**changed)


def slack(row, name):
    """How far a number may be off: t's tail by 2e-12 a comparison, its quantile by 1e-9."""
    stem, _, end = name.rpartition("_")
    if end in ("low", "high") and row[name] is not None:
        return 1e-12 + 1e-9 * (row[f"{stem}_high"] - row[f"{stem}_low"])
    return 1e-11 if name.startswith("p_") else 1e-12


def near(number, wanted, nudged, slack=1e-12):
    """Whether a number is right, as far as the last bits of the arms' means decide it."""
    if isinstance(wanted, list):
        return all(near(one[name], other[name], other[name]) for one, other
                   in zip(number, wanted, strict=True) for name in other)  # fmt: skip
    if isinstance(wanted, float) and number is not None:
        blur = abs(wanted - nudged) if isinstance(nudged, float) else 0.0
        return math.isclose(number, wanted, rel_tol=1e-9, abs_tol=slack + 10 * blur)
    return number in (wanted, nudged)


def random_experiment(source, rng, name, lines):
    """The statistics of an experiment, which is in order or not."""
    variants, is_odd = "ABCD"[: rng.choice((0, 1, 2, 2, 2, 2, 3, 4))], rng.random() < 0.4
    weights = tuple(rng.choice((0.5, 0.2, 1.0, 0.0, math.nan)) if is_odd else 0.7 for _ in variants)
    source.experiment(name, variants, weight=weights, controls=rng.choice((1, 1, 1, 1, 1, 0, 2)))
    if variants and is_odd:
        source.assign("u", name, rng.choice(variants), NOW - rng.randrange(200) * DAY)
    sizes = rng.choice(((0, 1, 2), (1, 29, 30), (40,), (200,), (2_000,), (10**8,), (31, 10**7)))
    crossed = rng.choice((0, 0, 1, 3))
    days = [TODAY - n * DAY for n in range(rng.choice((1, 3, 7, 9, 9)))]
    users = {(day, variant): rng.choice(sizes) for day in days for variant in variants
             if not is_odd or rng.random() < 0.95}  # fmt: skip
    rows = {}
    for line in lines:
        shapes = rng.sample(SHARES if line.measure == "any" else SHAPES, 2)
        lifts = {variant: rng.choice((0.8, 1, 1, 1.1, 1.5)) for variant in variants}
        is_final = rng.random() < 0.9
        is_explained = line.measure == "count" and rng.random() < 0.1  # by the past, wholly
        for (day, variant), n in users.items():
            numbers = random_numbers(rng, n, line.measure, shapes, lifts[variant])
            if is_explained:
                numbers = (*numbers[:5], *numbers[:2], numbers[1])
            rows[day, name, variant, line.metric_name] = Statistic(
                n, min(n, crossed), *numbers, NOW, is_final or day < TODAY - 2 * DAY
            )
    return rows


def random_numbers(rng, n, measure, shapes, lift):
    """A mean and sum of squares, and those of the denominator or of the past with the comoment."""
    moments = []
    for (mean, spread), factor in zip(shapes, (lift, 1), strict=True):
        if measure == "any":
            share = mean if mean in (0, 1) else mean * factor
            share += rng.gauss(0, math.sqrt(share * (1 - share) / max(n, 1)))
            mean = round(n * min(max(share, 0), 1)) / max(n, 1)
            moments.append((mean, n * mean * (1 - mean)))
        else:
            mean = mean * factor if spread else mean
            mean = max(mean + spread * rng.gauss(0, 1) / math.sqrt(max(n, 1)), 0)
            m2 = spread**2 * rng.uniform(0.8, 1.2) * max(n - 1, 0)
            moments.append((mean, m2) if n else (0, 0))
    (mean, m2), (other_mean, other_m2) = moments
    comoment = rng.uniform(0, 0.9) * math.sqrt(m2 * other_m2)
    second, nothing = (float(other_mean), float(other_m2), comoment), (None,) * 3
    second = (*second, *nothing) if measure == "ratio" else (*nothing, *second)
    return float(mean), float(m2), *second
