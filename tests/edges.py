"""Source data on every boundary: of days, horizons and validity."""

from datetime import datetime, timedelta
from random import Random

import oracle
from tables import App, event

NOON = datetime(2026, 11, 20, 12)
DAY, HOUR, MS = timedelta(days=1), timedelta(hours=1), timedelta(milliseconds=1)
# fmt: off
EDGES = (0 * DAY, MS, HOUR, DAY, DAY + MS, 2 * DAY, 7 * DAY - MS, 7 * DAY, 7 * DAY + MS)
NAMES = ("app_opened", "tab_opened", "workout_started", "exercise_logged", "session_submitted",
         "session_submitted", "achievement_unlocked", "unheard_of", "__proto__", "n" * 300)
MAPS = (None, {}, {"run": "A"}, {"run": "B"}, {"run": "B", "late": "A:1"}, {"late": "A:1"},
        {"run": None, "over": 1.5, "gone": True}, ["A"])
PLATFORMS = ("ios", "ios", "android", "web", "", "(none)", "(other)", "%28none)", "a:b", "a%3Ab",
             "=", "ios=", "É", "E\u0301", "p" * 191, "p" * 192)
VERSIONS = (None, "", *(f"1.{n}" for n in range(24)), *(f"2.{n % 3}" for n in range(12)))
JOURNEY = ("app_opened", "workout_started", "exercise_logged", "session_submitted")
# fmt: on
MIDNIGHT, NIGHT = datetime(2026, 11, 24), datetime(2026, 11, 23, 23, 58)
ODD = datetime(2026, 11, 23, 15, 30, 0, 123_456)


def awkward(source: App, now: datetime) -> None:
    """Users whose events lie on the edges of days, horizons and validity, as seen at `now`."""
    rng, values = Random(7), Random(8)
    today = oracle.today(now)
    midnight = oracle.midnight_before(today)
    soon, expired = now + timedelta(minutes=5), now - 180 * DAY
    starts = [oracle.midnight_before(today - n * DAY) + edge for n in (0, 1, 7, 8, 13, 14, 90, 179)
              for edge in (-MS, 0 * MS, 9 * HOUR)]  # fmt: skip
    starts += [soon, soon + MS, now, now + MS, expired, expired + MS, expired + DAY]
    events = []
    for nth, start in enumerate(starts):
        user = f"user {nth}"
        if nth % 5 == 0:  # a returning user whose first visit is just valid, or just expired
            moment = expired - rng.choice((0 * MS, MS, DAY))
            events.append(event(moment, user=user, received=now))
        for edge in (0 * DAY, *rng.sample(EDGES, 4)):
            for name in rng.sample(NAMES, rng.choice((1, 1, 2))):  # two are a tie
                late = timedelta(milliseconds=rng.randrange(-5_000, 60_000))
                moment, mapping = start + edge, rng.choice(MAPS)
                events.append(event(moment, name, user, received=moment + late, mapping=mapping))
        for experiment, variants in (("run", "AB"), ("late", ("A:1",)), ("over", "AB")):
            if rng.random() < 0.7:
                assigned_at = rng.choice((start, start - DAY, midnight, midnight - MS, now + DAY))
                source.assign(user, experiment, rng.choice(variants), assigned_at)
    for edge in EDGES:  # users who come back once
        user, start = f"user {edge}", midnight - 8 * DAY + 9 * HOUR
        events += [event(start, user=user), event(start + edge, "session_submitted", user)]
        source.assign(user, "run", "A", start)
    for edge in EDGES:  # users whose whole journey is at once, or ends late, and who enter daily
        user, start = f"journey {edge}", midnight - 9 * DAY
        events += [event(start + n * DAY, JOURNEY[0], user) for n in (0, 0, 1, 3)]
        events += [event(start + edge, name, user) for name in JOURNEY[:0:-1]]
    for days in (29, 30, 31, 40, 84, 85, 90, 91):  # cohorts that grow too old to be followed
        for nudge in (-MS, 0 * MS):
            start, user = midnight - days * DAY + nudge, f"old {days} {nudge}"
            events += [event(at, user=user) for at in (start, midnight - 2 * DAY, midnight + nudge)]
    for nth in range(202):  # more before and after the exposure than a metric counts
        moment = midnight - 7 * DAY + (nth - 101) * MS
        events.append(event(moment, "session_submitted", "busy"))
    source.assign("busy", "run", "B", midnight - 7 * DAY)
    start = midnight - 13 * DAY
    for edge in (0 * MS, MS):  # known for 14 days when exposed, or for too long
        events.append(event(start - 14 * DAY - edge, "session_submitted", f"early {edge}"))
        source.assign(f"early {edge}", "late", "A:1", start)
    for row in events:
        row["platform"], row["app_version"] = values.choice(PLATFORMS), values.choice(VERSIONS)
    empty_day = today - 5 * DAY
    source.events(*(row for row in events if oracle.day_of(row["occurred_at"]) != empty_day))
    source.experiment("run", ("A", "B", "nobody"))
    source.experiment("late", ("A:1",), status="PAUSED", start_at=start, end_at=midnight)
    source.experiment("over", status="ENDED", end_at=midnight - 13 * DAY)
    source.experiment("gone", status="ENDED", end_at=midnight - 13 * DAY - MS)
    source.experiment("draft", status="DRAFT", end_at=midnight)


# What a map may hold: numbers that differ only in zeros, and what looks like another type.
JSON_MAPS = (
    '{"run": 1.0}', '{"run": 1.00}', '{"run": "1.0"}', '{"run": 1e30}', '{"run": -0.0}',
    '{"run": true, "over": "true"}', '{"run": {"run": "B"}, "over": ["A"]}',
    '{"over": "{\\"a\\": 1}"}', '{"r\\"un\\\\": "A: 1, true", "": ""}',
    '{"\\u00e9\\u2028": "\\ud83d\\ude00"}', '"run"', "[1]", "null", "{}",
)  # fmt: skip
JSON_PROPERTIES = (
    '{"source": "ad"}', '{"source": 1.50}', '{"source": "1.50"}', '{"source": null}', "{}",
    '{"source": true, "other": {"source": "no"}}', '{"source": "a \\"b\\\\c"}',
    '{"source": {"a": [1, "b,c: \\"d\\"", []], "e": null, "f": {}}}', '{"source": ["a", true]}',
)  # fmt: skip


def odd_json(source: App) -> None:
    """Give half of the events JSON of all kinds, and let the user be missing."""
    source.do("alter table event_logs alter anonymous_user_id drop not null")
    for column, texts in (("experiment_map", JSON_MAPS), ("properties", JSON_PROPERTIES)):
        for place, text in enumerate(texts):
            source.do(
                f"update event_logs set {column} = cast(%s as jsonb)"
                f" where abs(hashtext('{column}' || id)) %% {2 * len(texts)} = %s",
                text,
                place,
            )
