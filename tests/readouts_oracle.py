"""What an experiment's statistics, read-outs and health must hold, in plain Python.

A second opinion on the SQL, as `oracle` is. Sums over users are exact (`fsum`). What follows from
them is worked out in fractions, so only roots and distributions round.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from oracle import (
    DAY,
    History,
    Key,
    Row,
    Source,
    day_of,
    histories,
    id_key,
    is_in_scope,
    key_events,
    mapped_pairs,
    midnight_after,
    today,
    window,
    window_dates,
)
from scipy.special import chdtrc, ndtr, stdtr, stdtrit

PRE_PERIOD = 14 * DAY
Exposure = tuple[str, str, datetime]  # user, variant, exposed_at


class Metric(NamedTuple):
    """A line of the seed."""

    metric_name: str
    measure: str  # any, count or ratio
    event_name: str | None  # None is any event
    denominator_event_name: str | None
    delay_hours: float
    window_hours: float
    cap: float | None
    desired: str  # increase or decrease
    role: str  # goal, secondary or guardrail

    @property
    def delay(self) -> timedelta:
        return timedelta(hours=self.delay_hours)

    @property
    def span(self) -> timedelta:
        """From the exposure to the last moment that counts."""
        return self.delay + timedelta(hours=self.window_hours)


class Statistic(NamedTuple):
    """A row of experiment_statistics without its key."""

    users: int
    crossover_users: int
    mean: float
    m2: float
    denominator_mean: float | None
    denominator_m2: float | None
    denominator_comoment: float | None
    pre_mean: float | None
    pre_m2: float | None
    pre_comoment: float | None
    matures_at: datetime
    is_final: bool


def statistics(
    source: Source, now: datetime, window_days: int, metrics: list[Metric]
) -> dict[Key, Statistic]:
    """(day, experiment_id, variant_id, metric_name) -> the statistics of that day's users."""
    rows: dict[Key, Statistic] = {}
    start, _ = window(now, window_days)
    users = histories(source, now)
    in_scope = {row["experiment_id"] for row in source.experiments if is_in_scope(row, start)}
    for experiment in in_scope - {None}:
        variants = variants_of(source, experiment)
        cohorts: dict[tuple[date, str], list[Exposure]] = defaultdict(list)
        for exposure in exposures(source, experiment, now):
            cohorts[day_of(exposure[2]), exposure[1]].append(exposure)
        for day in window_dates(now, window_days):
            for variant in variants:
                for metric in metrics:
                    key = (day, id_key(experiment), id_key(variant), metric.metric_name)
                    others = {(experiment, other) for other in variants - {variant}}
                    rows[key] = statistic(users, cohorts[day, variant], others, metric, day, now)
    return rows


def variants_of(source: Source, experiment: str) -> set[str]:
    names = {v["variant_id"] for v in source.variants if v["experiment_id"] == experiment}
    return names - {None}


def exposures(source: Source, experiment: str, now: datetime) -> set[Exposure]:
    """Who was assigned to a variant of the experiment while it ran, and when."""
    runs = [row for row in source.experiments if row["experiment_id"] == experiment]

    def counts(at: datetime | None) -> bool:
        return at is not None and at <= now + timedelta(minutes=5) and any(
            (run["start_at"] is None or run["start_at"] <= at)
            and (run["end_at"] is None or at < run["end_at"])
            for run in runs
        )  # fmt: skip

    return {
        (row["anonymous_user_id"], row["variant_id"], row["assigned_at"])
        for row in source.assignments
        if row["experiment_id"] == experiment
        and row["variant_id"] in variants_of(source, experiment)
        and row["anonymous_user_id"] is not None
        and counts(row["assigned_at"])
    }


def statistic(
    users: dict[str, History],
    cohort: list[Exposure],
    others: set[tuple[str, str]],
    metric: Metric,
    day: date,
    now: datetime,
) -> Statistic:
    """One row; `others` are the pairs that an event of a crossover carries."""
    posts, denominators, pres = [], [], []
    crossovers = 0
    for user, _, at in cohort:
        events = users.get(user, [])
        last = at + metric.span
        if any(others & set(mapped_pairs(e)) for e in events if at <= e["occurred_at"] <= last):
            crossovers += 1
            continue
        first = at + metric.delay
        # Being exposed is an event itself, and does not show that somebody came back.
        is_strict = metric.measure == "any" and metric.event_name is None
        span = [e for e in events if first <= e["occurred_at"] <= last
                and not (is_strict and e["occurred_at"] == first)]  # fmt: skip
        before = [e for e in events if at - PRE_PERIOD <= e["occurred_at"] < at]
        posts.append(measured(metric, span))
        denominators.append(hits(metric.denominator_event_name, span))
        pres.append(measured(metric, before))
    matures_at = midnight_after(day) + metric.span
    second = moments(posts, denominators if metric.measure == "ratio" else pres)[2:]
    nothing = (None, None, None)
    return Statistic(
        len(posts),
        crossovers,
        *moments(posts, posts)[:2],
        *((*second, *nothing) if metric.measure == "ratio" else (*nothing, *second)),
        matures_at,
        matures_at <= now,
    )


def measured(metric: Metric, events: History) -> int:
    count = hits(metric.event_name, events)
    if metric.measure == "any":
        return min(count, 1)
    return min(count, metric.cap) if metric.measure == "count" and metric.cap else count


def hits(event_name: str | None, events: History) -> int:
    names = (event_name or "").replace("$key_event", "|".join(key_events())).split("|")
    return sum(event_name is None or event["event_name"] in names for event in events)


def moments(xs: list[int], ys: list[int]) -> tuple[float, float, float, float, float]:
    """Both means and sums of squared deviations, and the sum of the deviations' products."""
    mean_x, mean_y = (math.fsum(values) / len(values) if values else 0.0 for values in (xs, ys))
    of_x, of_y = [x - mean_x for x in xs], [y - mean_y for y in ys]
    m2_x, m2_y = (math.fsum(d * d for d in of) for of in (of_x, of_y))
    comoment = math.fsum(dx * dy for dx, dy in zip(of_x, of_y, strict=True))
    return mean_x, m2_x, mean_y, m2_y, comoment


# From statistics to read-outs.


@dataclass(frozen=True)
class Arm:
    """Users with the moments of their number, and of a second: the denominator or the past."""

    users: int
    mean: Fraction = Fraction(0)
    m2: Fraction = Fraction(0)
    second_mean: Fraction = Fraction(0)
    second_m2: Fraction = Fraction(0)
    comoment: Fraction = Fraction(0)


def arm_of(row: Statistic) -> Arm:
    second = row[4:7] if row.denominator_mean is not None else row[7:10]
    return Arm(row.users, *(Fraction(number or 0) for number in (row.mean, row.m2, *second)))


def merged(arms: list[Arm]) -> Arm:
    """The moments of all these users together (Chan, Golub and LeVeque 1979)."""
    users = sum(arm.users for arm in arms)
    if not users:
        return Arm(0)
    mean = sum((arm.users * arm.mean for arm in arms), Fraction(0)) / users
    second_mean = sum((arm.users * arm.second_mean for arm in arms), Fraction(0)) / users
    m2 = second_m2 = comoment = Fraction(0)
    for arm in arms:
        d, second_d = arm.mean - mean, arm.second_mean - second_mean
        m2 += arm.m2 + arm.users * d * d
        second_m2 += arm.second_m2 + arm.users * second_d * second_d
        comoment += arm.comoment + arm.users * d * second_d
    return Arm(users, mean, m2, second_mean, second_m2, comoment)


def value_of(arm: Arm, measure: str) -> Fraction | None:
    if measure != "ratio":
        return arm.mean if arm.users else None
    return arm.mean / arm.second_mean if arm.second_mean else None


def variances(arm: Arm, measure: str) -> tuple[Fraction, Fraction, Fraction]:
    """Of the number and the second one, and their covariance; a share's are divided by n."""
    divisor = arm.users if measure == "any" else arm.users - 1
    return arm.m2 / divisor, arm.second_m2 / divisor, arm.comoment / divisor


def variance(arm: Arm, measure: str) -> Fraction:
    of_mean, of_second, covariance = variances(arm, measure)
    if measure == "any":
        return arm.mean * (1 - arm.mean)
    if measure == "count":
        return of_mean
    ratio = arm.mean / arm.second_mean
    return (of_mean - 2 * ratio * covariance + ratio**2 * of_second) / arm.second_mean**2


def status_of(control: Arm | None, treatment: Arm, measure: str) -> str:
    if control is None:
        return "no_control"
    arms = (control, treatment)
    if any(arm.users < 30 for arm in arms):
        return "too_few"
    if measure == "ratio" and any(arm.second_mean == 0 for arm in arms):
        return "zero_denominator"
    if value_of(control, measure) == 0:
        return "zero_control"
    v0, v1 = (variance(arm, measure) for arm in arms)
    if v0 + v1 == 0 or (v1 == 0 and value_of(treatment, measure) == 0):
        return "zero_variance"
    return "ok"


def compare(control: Arm, treatment: Arm, metric: Metric, comparisons: int = 1) -> Row:
    """Every number of a read-out whose status is ok, but p_holm."""
    measure = metric.measure
    m0, m1 = (value_of(arm, measure) for arm in (control, treatment))
    v0, v1 = (variance(arm, measure) for arm in (control, treatment))
    n0, n1 = control.users, treatment.users
    assert m0 is not None and m1 is not None
    se = root(v0 / n0 + v1 / n1)
    df = welch_df(v0 / n0, v1 / n1, n0, n1)
    t = float(stdtrit(df, 0.975))
    difference, lift = float(m1 - m0), float((m1 - m0) / abs(m0))
    lift_se = root(v1 / (n1 * m0**2) + v0 * m1**2 / (n0 * m0**4))
    z = lift / lift_se

    # An asymptotic confidence sequence (Waudby-Smith et al. 2021), tightest at 5,000 users.
    alpha = 0.05 / comparisons
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / 5000
    a = (n0 + n1) * rho2
    always = math.sqrt(2 * (a + 1) / a * math.log(math.sqrt(a + 1) / alpha))
    p_always = min(1.0, math.sqrt(a + 1) * math.exp(-a * z * z / (2 * (a + 1))))

    mde = (1.959963984540054 + 0.8416212335729143) * lift_se
    return {
        "difference": difference,
        "difference_low": difference - t * se,
        "difference_high": difference + t * se,
        "p_value": p_of(difference / se, df),
        "lift": lift,
        "lift_low": lift - t * lift_se,
        "lift_high": lift + t * lift_se,
        "lift_always_low": lift - always * lift_se,
        "lift_always_high": lift + always * lift_se,
        "p_always": min(1.0, p_always * comparisons),
        **cuped(control, treatment, measure, lift_se),
        "chance_to_win": float(ndtr(z if metric.desired == "increase" else -z)),
        "mde": mde,
        "users_to_detect": (n0 + n1) * max(0.0, (mde / 0.10) ** 2 - 1),
    }


def cuped(control: Arm, treatment: Arm, measure: str, plain_se: float) -> Row:
    """The lift with what the users did before taken out (Deng et al. 2013)."""
    names = ("cuped_lift", "cuped_lift_low", "cuped_lift_high", "variance_reduction")
    if measure == "ratio":
        return dict.fromkeys(names)
    both = merged([control, treatment])
    theta = both.comoment / both.second_m2 if both.second_m2 else Fraction(0)

    def error(arm: Arm, ratio: Fraction) -> Fraction:
        """The squared standard error of ratio * mean - theta * second_mean."""
        _, of_second, covariance = variances(arm, measure)
        total = ratio**2 * variance(arm, measure) - 2 * ratio * theta * covariance
        return (total + theta**2 * of_second) / arm.users

    m0, m1 = (arm.mean - theta * arm.second_mean for arm in (control, treatment))
    a, b = (error(arm, Fraction(1)) for arm in (control, treatment))
    if a + b == 0:  # the past explains it all, and there is nothing to test
        return dict.fromkeys(names)
    lift = float((m1 - m0) / control.mean)
    se = root((error(control, treatment.mean / control.mean) + b) / control.mean**2)
    half = float(stdtrit(welch_df(a, b, control.users, treatment.users), 0.975)) * se
    numbers = (lift, lift - half, lift + half, 1 - (se / plain_se) ** 2)
    return dict(zip(names, numbers, strict=True))


def root(number: Fraction) -> float:
    return math.sqrt(max(number, 0))


def welch_df(a: Fraction, b: Fraction, n0: int, n1: int) -> float:
    return float((a + b) ** 2 / (a**2 / (n0 - 1) + b**2 / (n1 - 1)))


def p_of(t: float, df: float) -> float:
    """Student's t, two-sided."""
    return float(2 * stdtr(df, -abs(t)))


def holm(p_values: list[float]) -> list[float]:
    """Adjusted p-values, in the order given (Holm 1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, nth in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, p_values[nth] * (len(p_values) - rank))
        adjusted[nth] = min(1.0, highest)
    return adjusted


# The two tables on top.


@dataclass(frozen=True)
class Variant:
    variant_id: str
    is_control: bool
    weight: float | None  # None where the split was not planned


def catalog(source: Source) -> dict[str, list[Variant]]:
    """Every experiment's variants, by id; a view may list one twice."""
    found: dict[str, list[Variant]] = {}
    for experiment in {row["experiment_id"] for row in source.experiments} - {None}:
        variants = []
        for name in sorted(variants_of(source, experiment), key=lambda name: id_key(name).encode()):
            rows = [row for row in source.variants
                    if (row["experiment_id"], row["variant_id"]) == (experiment, name)]  # fmt: skip
            weight = max(filter(None, map(weight_of, rows)), default=None)
            is_control = any(row["is_control"] for row in rows)
            variants.append(Variant(id_key(name), is_control, weight))
        found[id_key(experiment)] = variants
    return found


def weight_of(variant: Row) -> float | None:
    """Its weight if that is a sensible one."""
    weight = variant["weight"]
    return weight if weight is not None and 1e-9 <= weight <= 1e9 else None


def control_of(variants: list[Variant]) -> str | None:
    controls = [variant.variant_id for variant in variants if variant.is_control]
    return controls[0] if len(controls) == 1 else None


def readouts(
    rows: dict[Key, Statistic],
    variants_by_experiment: dict[str, list[Variant]],
    metrics: list[Metric],
    health_rows: dict[str, Row],
) -> dict[tuple[str, str, str], Row]:
    """(experiment_id, metric_name, variant_id) -> the other columns."""
    cells = cells_of({key: row for key, row in rows.items() if row.is_final})
    found: dict[tuple[str, str, str], Row] = {}
    for experiment, variants in variants_by_experiment.items():
        control, blocked = control_of(variants), is_blocked(health_rows[experiment])
        for metric in metrics:
            of_control = None if control is None else cells[experiment, control, metric.metric_name]
            for variant in variants:
                if not variant.is_control:
                    cell = cells[experiment, variant.variant_id, metric.metric_name]
                    row = readout(of_control, cell, metric, len(variants) - 1, blocked)
                    row["control_variant_id"] = control
                    found[experiment, metric.metric_name, variant.variant_id] = row
        family = [row for key, row in found.items() if key[0] == experiment
                  and row["role"] == "goal" and row["status"] == "ok"]  # fmt: skip
        adjusted = holm([row["p_value"] for row in family])
        for row, p_value in zip(family, adjusted, strict=True):
            row["p_holm"] = p_value
    return found


Cell = dict[date, Arm]  # one variant's days that have users


def cells_of(rows: dict[Key, Statistic]) -> dict[tuple, Cell]:
    """(experiment_id, variant_id, metric_name) -> its days."""
    cells: dict[tuple, Cell] = defaultdict(dict)
    for (day, *cell), row in rows.items():
        if row.users:
            cells[tuple(cell)][day] = arm_of(row)
    return cells


NUMBERS = (
    "difference", "difference_low", "difference_high", "p_value", "lift", "lift_low", "lift_high",
    "lift_always_low", "lift_always_high", "p_always", "cuped_lift", "cuped_lift_low",
    "cuped_lift_high", "variance_reduction", "p_holm", "chance_to_win", "mde", "users_to_detect",
)  # fmt: skip


def readout(
    of_control: Cell | None, of_variant: Cell, metric: Metric, comparisons: int, blocked: bool
) -> Row:
    treatment = merged(list(of_variant.values()))
    control = None if of_control is None else merged(list(of_control.values()))
    days = [sorted(cell) for cell in (of_variant, of_control or {}) if cell]
    cohort_days = max(map(len, days), default=0)
    status = status_of(control, treatment, metric.measure)
    row = metric._asdict() | dict.fromkeys(NUMBERS) | {
        "users": treatment.users,
        "control_users": control and control.users,
        "value": as_float(value_of(treatment, metric.measure)),
        "control_value": as_float(control and value_of(control, metric.measure)),
        "first_day": min((its[0] for its in days), default=None),
        "last_day": max((its[-1] for its in days), default=None),
        "cohort_days": cohort_days,
        "status": status,
        "verdict": "wait",
    }  # fmt: skip
    if control and status == "ok":
        row |= compare(control, treatment, metric, comparisons)
        conversions = round(max(arm.users * arm.mean for arm in (control, treatment)))
        if cohort_days >= 7 and (metric.measure != "any" or conversions >= 150):
            row["verdict"] = verdict(row, metric.desired)
    if blocked:
        row["verdict"] = "blocked"
    del row["metric_name"]
    return row


def as_float(number: Fraction | None) -> float | None:
    return None if number is None else float(number)


def verdict(row: Row, desired: str) -> str:
    if row["lift_always_low"] <= 0 <= row["lift_always_high"]:
        return "no_difference_yet"
    return "better" if (row["lift"] > 0) == (desired == "increase") else "worse"


def is_blocked(health_row: Row) -> bool:
    alarms = (health_row["crossover"], health_row["pre_difference"])
    return health_row["srm"] == "mismatch" or "alarm" in alarms


def health(
    rows: dict[Key, Statistic],
    variants_by_experiment: dict[str, list[Variant]],
    metrics: list[Metric],
    exposed_days: dict[str, set[date]],
    now: datetime,
) -> dict[str, Row]:
    """experiment_id -> the other columns; `exposed_days` are those with an exposure."""
    cells, name = cells_of(rows), longest(metrics).metric_name
    of_longest: dict[str, dict[tuple[date, str], Statistic]] = defaultdict(dict)
    for (day, experiment, variant, metric), row in rows.items():
        if metric == name:
            of_longest[experiment][day, variant] = row
    return {
        experiment: {
            "control_variant_id": control_of(variants),
            **split(of_longest[experiment], variants),
            **difference_before(cells, experiment, variants, metrics),
            **coverage(
                {day for day, _ in of_longest[experiment]}, exposed_days.get(experiment, set()), now
            ),
        }
        for experiment, variants in variants_by_experiment.items()
    }


def longest(metrics: list[Metric]) -> Metric:
    return min(metrics, key=lambda metric: (-metric.span, metric.metric_name.encode()))


def split(rows: dict[tuple[date, str], Statistic], variants: list[Variant]) -> Row:
    """Users and crossovers of each variant, held against the weights."""
    users, crossovers = ({v.variant_id: 0 for v in variants} for _ in range(2))
    for (_, variant), row in rows.items():
        if variant in users:
            users[variant] += row.users
            crossovers[variant] += row.crossover_users
    planned = {v.variant_id: Fraction(v.weight) for v in variants if v.weight}
    expected = {name: weight / sum(planned.values()) for name, weight in planned.items()}
    total = sum(users[variant] for variant in planned)
    df, chi2, p = None, None, None
    shares = {v: Fraction(users[v], total) for v in planned} if total else {}
    if total:
        chi2 = float(total * sum((shares[v] - e) ** 2 / e for v, e in expected.items()))
    if total and len(planned) > 1:
        df = len(planned) - 1
        p = float(chdtrc(df, chi2))
    is_off = any(abs(shares[v] - expected[v]) >= Fraction(1, 1000) for v in shares)
    crossed = sum(crossovers.values())
    exposed = crossed + sum(users.values())
    crossover_share = crossed / exposed if exposed else None
    return {
        "users": total,
        "variants": [
            {
                "variant_id": v.variant_id,
                "users": users[v.variant_id],
                "crossover_users": crossovers[v.variant_id],
                "weight": v.weight,
                "expected_share": as_float(expected.get(v.variant_id)),
                "share": as_float(shares.get(v.variant_id)),
            }
            for v in variants
        ],
        "srm_chi2": chi2,
        "srm_df": df,
        "srm_p": p,
        "srm": srm_of(total, len(planned), p, is_off),
        "crossover_users": crossed,
        "crossover_share": crossover_share,
        "crossover": crossover_of(crossover_share or 0, crossed),
    }


def srm_of(users: int, variants: int, p: float | None, is_off: bool) -> str:
    if users < max(8 * variants, 100):
        return "too_few"
    if p is None or p >= 0.01:
        return "ok"
    return "mismatch" if p < 0.001 and is_off else "warn"


def crossover_of(share: float, users: int) -> str:
    if share >= 0.01 and users >= 10:
        return "alarm"
    return "warn" if share >= 0.001 else "ok"


def difference_before(
    cells: dict[tuple, Cell], experiment: str, variants: list[Variant], metrics: list[Metric]
) -> Row:
    """Whether the arms differed before the exposure (Welch's t of the pre-period means)."""
    control = control_of(variants)
    guarded = [metric for metric in metrics if metric.role in ("goal", "guardrail")]
    p_values = []
    for metric in guarded:
        for variant in variants:
            if control in (None, variant.variant_id) or metric.measure == "ratio":
                continue
            arms = [
                merged(list(cells[experiment, name, metric.metric_name].values()))
                for name in (control, variant.variant_id)
            ]
            if min(arm.users for arm in arms) < 30:
                continue
            a, b = (arm.second_m2 / (arm.users - 1) / arm.users for arm in arms)
            difference = float(arms[1].second_mean - arms[0].second_mean)
            if a + b > 0:
                df = welch_df(a, b, *(arm.users for arm in arms))
                p_values.append(p_of(difference / root(a + b), df))
            elif difference:
                p_values.append(0.0)
    p_value = min(p_values, default=None)
    is_alarm = p_value is not None and p_value < 0.001 / (len(variants) - 1) / len(guarded)
    return {"pre_difference_p": p_value, "pre_difference": "alarm" if is_alarm else "ok"}


def coverage(stored: set[date], exposed: set[date], now: datetime) -> Row:
    missing = exposed - stored
    in_reach = {day for day in missing if day >= today(now) - 179 * DAY}
    return {
        "covers_from": min(stored, default=None),
        "complete_from": min(in_reach, default=None),
        "is_complete": not missing,
    }


def exposed_days(source: Source, now: datetime) -> dict[str, set[date]]:
    return {
        id_key(experiment): {
            day_of(at) for *_, at in exposures(source, experiment, now) if day_of(at) <= today(now)
        }
        for experiment in {row["experiment_id"] for row in source.experiments} - {None}
    }
