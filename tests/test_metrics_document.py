"""The queries of `docs/metrics.md` return the rows of the rollup tables."""

import re

import documents
import oracle
import pytest
from edges import DAY, HOUR, MIDNIGHT, MS, NIGHT, NOON, awkward
from psycopg import sql
from psycopg.rows import dict_row
from tables import differences, steps, stored

PAGE = documents.read("docs/metrics.md")
HORIZONS = {name: (days, rest) for name, days, _, rest in PAGE.table("Words that recur")}


class Queries:
    """The page's queries, with values in place of psql's variables."""

    def __init__(self, conn, **variables):
        self.conn, self.variables = conn, variables
        *views, self.is_final = PAGE.under("Words that recur", "sql")
        for view in views:
            self.conn.execute(self._filled(view, {}))

    def rows(self, heading, **variables):
        (query,) = PAGE.under(heading, "sql") if isinstance(heading, str) else heading
        with self.conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self._filled(query, variables)).fetchall()

    def final(self, metric, day):
        (row,) = self.rows([self.is_final], day=day, horizon_days=HORIZONS[metric][0])
        return row["is_final"]

    def _filled(self, query, variables):
        known = {name: str(value) for name, value in (self.variables | variables).items()}
        query = re.sub(r":'(\w+)'", lambda m: sql.quote(known[m[1]]), query)
        return re.sub(r"(?<![:\w]):(\w+)", lambda m: known[m[1]], query)


def metric_row(queries, metric, day, row):
    """(value, dimensions, is_final) of a metric, with the dimensions that the page lists."""
    known = {"day": f"{day}", "unit": "seconds", **row}
    wanted = [name for name in HORIZONS[metric][1].split(", ") if name != "null"]
    dimensions = {name: known[name] for name in wanted} or None
    return row["value"], dimensions, queries.final(metric, day)


def headings_below(heading):
    found = (block.headings for block in PAGE.blocks)
    return list(dict.fromkeys(h[2] for h in found if h[1:2] == (heading,) and len(h) == 3))


def daily(queries, days):
    rows = {}
    for day in days:
        for heading in headings_below("Daily"):
            for row in queries.rows(heading, day=day):
                key = row.get("dimension_key", "overall")
                for metric in heading.split(", "):
                    values = {"value": row.get(metric), **row}
                    rows[day, metric, key] = metric_row(queries, metric, day, values)
    return rows


def experiment(queries, days):
    rows = {}
    (in_scope,) = (b.text for b in PAGE.blocks if b.headings[1:] == ("Experiment",))
    for variant in queries.rows([in_scope]):
        for day in days:
            at = {"day": day, **variant}
            (rate,) = queries.rows("logging_rate_24h_by_variant", **at)
            for metric in headings_below("Experiment"):
                (row,) = queries.rows(metric, **at)
                row["cohort_size"] = rate["cohort_size"]
                rows[day, *variant.values(), metric] = metric_row(queries, metric, day, row)
    return rows


def funnel(queries, days):
    rows = {}
    for day in days:
        final = queries.final("funnel steps", day)
        for name, step in {line[:2] for line in steps()}:
            at = {"day": day, "funnel_name": name, "step_name": step}
            for row in queries.rows("Overall", **at) + queries.rows("By variant", **at):
                pair = row.get("experiment_id"), row.get("variant_id")
                key = oracle.pair_key(*pair) if pair[0] is not None else "overall"
                rows[day, name, step, key] = (
                    *pair,
                    row["users_count"],
                    row["events_count"],
                    final,
                )
    return rows


@pytest.mark.parametrize(("now", "window_days"), [(NOON, 14), (NIGHT, 9), (MIDNIGHT, 9)])
def test_queries_return_the_stored_rows(source, run, now, window_days):
    awkward(source, now)
    for column in ("anonymous_user_id", "event_name", "occurred_at", "received_at"):
        source.do(f"alter table event_logs alter {column} drop not null")
    source.event(now, "app_opened", None)
    source.event(now, None, "nameless", received="infinity")
    source.event(now, "session_submitted", "", received=now + DAY)
    source.event(None, "app_opened", "timeless", received=now)
    source.event(now + DAY, "app_opened", "ahead", received=now - HOUR)
    for first in (now - 180 * DAY, now - 180 * DAY - MS):  # known just long enough, or forgotten
        source.event(first, user=f"{first}")
        source.event(now - HOUR, user=f"{first}")
    source.event(now - MS, "app_opened", "lost")
    source.do("update event_logs set received_at = null where anonymous_user_id = 'lost'")
    outcome = run("--window-days", window_days, as_of=now)
    assert outcome.exit_code == 0, outcome.stdout

    start, end = oracle.window(now, window_days)
    days = oracle.window_dates(now, window_days)
    queries = Queries(source.conn, as_of=now, window_start=start, window_end=end)
    found = stored(source.conn)
    by_query = found._replace(
        daily=daily(queries, days),
        experiment=experiment(queries, days),
        funnel=funnel(queries, days),
    )
    assert differences(found, by_query) == []
    (ignored,) = queries.rows("ignored_count")
    assert min(ignored.values()) > 0
    assert all(found == ignored for found in outcome.of_jobs("ignored_by_rule").values())
