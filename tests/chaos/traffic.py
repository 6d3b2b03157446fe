"""Traffic while runs race: events that arrive, and readers that must never see half a run.

The writer adds and deletes an opening and a submission in one transaction. So the two are equally
many on every day, in the events and in whatever was computed from them at one moment.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import psycopg
from api_helpers import ask
from tables import NOW, App, connect, event

WINDOW = "from=2026-11-10&to=2026-11-23"
PAIR = ("app_opened", "session_submitted")
SIX = {"dau", "new_users", "sessions_submitted", "logging_rate_24h",
       "ingestion_lag_p50", "ingestion_lag_p95"}  # fmt: skip
STEPS = {"active_open", "workout_engaged", "exercise_logged", "session_submitted",
         "achievement_unlocked"}  # fmt: skip
FOUR = {"users_assigned", "users_active_d1", "sessions_submitted_d7", "logging_rate_24h_by_variant"}
# Each of these finds a day that was written by two runs, or written in part.
TORN = {
    "daily": """
        select day, count(distinct computed_at), count(*) filter (where dimension_key = 'overall')
        from analytics.daily_metric_rollups group by day
        having count(distinct computed_at) > 1
            or count(*) filter (where dimension_key = 'overall') <> 6
            or sum(value) filter (where dimension_key = 'app_opened')
                <> sum(value) filter (where metric_name = 'sessions_submitted')
    """,
    "experiment": """
        select day, count(distinct computed_at), count(*)
        from analytics.experiment_metric_rollups group by day
        having count(distinct computed_at) > 1 or count(*) <> 12
    """,
    "funnel": """
        select day, count(distinct computed_at), count(*) filter (where dimension_key = 'overall')
        from analytics.funnel_rollups group by day
        having count(distinct computed_at) > 1
            or count(*) filter (where dimension_key = 'overall') <> 5
            or sum(events_count) filter (where step_name = 'active_open')
                <> sum(events_count) filter (where step_name = 'session_submitted')
    """,
}


@contextmanager
def traffic(url: str, port: int | None = None) -> Iterator[dict[str, int]]:
    """Write and read until the block ends; yield how often each was done. Raises what was torn."""
    done = {"written": 0, "read by SQL": 0, "read by HTTP": 0}
    torn: list[object] = []
    over = threading.Event()

    def again(what: str, step: Callable[[int], object]) -> None:
        try:
            while not over.wait(0.01):
                found = step(done[what])
                done[what] += 1
                if found:
                    torn.append(found)
                    return
        except Exception as error:
            torn.append(error)

    with connect(url) as writing, connect(url) as reading:
        app = App(writing)
        work = [("written", lambda nth: write(app, nth)), ("read by SQL", lambda _: look(reading))]
        if port:
            work.append(("read by HTTP", lambda nth: ASK[nth % len(ASK)](port)))
        threads = [threading.Thread(target=again, args=one) for one in work]
        for thread in threads:
            thread.start()
        try:
            yield done
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert torn == [], torn
    assert done["written"] and done["read by SQL"] and (done["read by HTTP"] or not port)


def write(app: App, nth: int) -> None:
    user = f"new {nth % 50}"
    if nth % 5 == 4:
        app.do("delete from event_logs where anonymous_user_id = %s", user)
        return
    moment = NOW - timedelta(days=nth % 14, minutes=nth)
    app.events(*(event(moment, name, user, mapping={"x": "AB"[nth % 2]}) for name in PAIR))


def look(conn: psycopg.Connection) -> object:
    found = []
    for query in TORN.values():
        with suppress(psycopg.errors.UndefinedTable):  # before the first run
            found += conn.execute(query).fetchall()
    return found


def ask_daily(port: int) -> object:
    days = answer(port, f"/v1/metrics/daily?{WINDOW}")["days"]
    wrong = [
        day
        for day in days
        if set(day["metrics"]) - {"event_volume_by_name"} != SIX
        or day["metrics"].get("event_volume_by_name", {}).get("app_opened", 0)
        != day["metrics"]["sessions_submitted"]
    ]
    return wrong or (len(days) != 14 and f"{len(days)} days")


def ask_csv(port: int) -> object:
    status, _, body = ask(port, f"/v1/metrics/daily?{WINDOW}&format=csv")
    lines = body.decode().splitlines()[1:]
    stamps = {(line.split(",")[0], line.rsplit(",", 1)[1]) for line in lines}
    return (status != 200 and status) or (len(stamps) != 14 and sorted(stamps))


def ask_experiments(port: int) -> object:
    over, running = answer(port, f"/v1/metrics/experiments?{WINDOW}")["experiments"]
    found = [(e["experiment_id"], p["day"], p["variant_id"], p["metric_name"])
             for e in (over, running) for p in e["series"]]  # fmt: skip
    latest = {name for e in (over, running) for name in e["latest_metrics_by_variant"].values()
              for name in name}  # fmt: skip
    return (len(set(found)) != 14 * 3 * 4 and len(found)) or (latest != FOUR and latest)


def ask_funnels(port: int) -> object:
    rows = answer(port, f"/v1/metrics/funnels?{WINDOW}")["rows"]
    overall = {(row["day"], row["step_name"]): row["events_count"]
               for row in rows if row["experiment_id"] is None}  # fmt: skip
    days = {day for day, _ in overall}
    whole = {(day, step) for day in days for step in STEPS}
    even = all(overall[day, PAIR[1]] == overall[day, "active_open"] for day in days)
    return (set(overall) != whole and overall) or (not even and overall) or len(days) != 14


def answer(port: int, path: str) -> dict:
    status, _, body = ask(port, path)
    assert status == 200, body
    return json.loads(body)


ASK = (ask_daily, ask_funnels, ask_experiments, ask_csv)
