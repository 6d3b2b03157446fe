"""The queries of `docs/metrics.md` return the rows of the rollup tables."""

import re
from itertools import product

import documents
import oracle
import pytest
from edges import DAY, HOUR, MIDNIGHT, MS, NIGHT, NOON, awkward
from psycopg import sql
from psycopg.rows import dict_row
from tables import alike, differences, steps, stored

PAGE = documents.read("docs/metrics.md")
HORIZONS = {name: (days, rest) for name, days, _, rest in PAGE.table("Words that recur")}


class Queries:
    """The page's queries, with values in place of psql's variables."""

    def __init__(self, conn, **variables):
        self.conn, self.variables = conn, variables
        *views, self.is_final = PAGE.under("Words that recur", "sql")
        for view in [*views, *PAGE.under("Dimensions", "sql")]:
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


def by_dimension(queries, days):
    rows = {}
    for day in days:
        for row in queries.rows("Daily by dimension", day=day):
            row["cohort_size"] = row["new_users"]
            for metric in ("dau", "new_users", "sessions_submitted", "logging_rate_24h"):
                found = metric_row(queries, metric, day, row | {"value": row[metric]})
                rows[day, metric, row["dimension_key"]] = found
    return rows


def in_order(queries, days):
    rows = {}
    for day, funnel in product(days, {line[0] for line in steps()}):
        names = {name for one, name, _ in steps() if one == funnel}
        rows |= {(day, funnel, n, "overall"): (0, None) for n in range(1, len(names) + 1)}
        for row in queries.rows("Funnel in order", day=day, funnel_name=funnel):
            step, key, *values = row.values()
            rows[day, funnel, step, key] = tuple(values)
    return rows


def retention(queries, days):
    rows = {}
    for period, length, last in (("day", 1, 30), ("week", 7, 12)):
        for row in queries.rows("Retention", period=period, period_days=length):
            cohort, number, key, users = row.values()
            begins = cohort + number * length * DAY
            ends = begins + (length - 1) * DAY
            if number <= last and begins <= days[-1] and ends >= days[0]:
                final = ends < days[-1]
                rows[period, cohort, number, key] = users, final
    return rows


def active(queries, days):
    rows = {}
    for day, (period, length) in product(days, (("day", 1), ("week", 7), ("month", 28))):
        rows[day, period, "overall"] = (0,)
        for row in queries.rows("Active users", day=day, period_days=length):
            rows[day, period, row["dimension_key"]] = (row["users_count"],)
    return rows


# The tables by dimension: key columns, others, and what the page's queries do not tell.
BY_DIMENSION = {
    "daily_dimension_rollups": (by_dimension, "day, metric_name, dimension_key",
                                "value, dimensions, is_final", "false"),
    "funnel_conversion_rollups": (in_order, "day, funnel_name, step, dimension_key",
                                  "users_count, median_seconds", "strpos(dimension_key, ':') > 0"),
    "retention_rollups": (retention, "period, cohort_start, period_number, dimension_key",
                          "users_count, is_final", "users_count = 0"),
    "active_user_rollups": (active, "day, period, dimension_key", "users_count", "false"),
}  # fmt: skip


@pytest.mark.parametrize(("now", "window_days"), [(NOON, 14), (NIGHT, 9), (MIDNIGHT, 9)])
def test_queries_return_the_stored_rows(source, run, now, window_days):
    awkward(source, now)
    for column in ("anonymous_user_id", "event_name", "occurred_at", "platform", "received_at"):
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
    source.do("""
        update event_logs set
            platform = (array['ios', 'web', ''])[1 + length(event_name) % 3],
            app_version = (array['1:%', '(none)', '(other)'])[1 + cast(right(id, 1) as int) % 5]
    """)
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
    for table, (expected, key, others, untold) in BY_DIMENSION.items():
        query = f"select {key}, {others} from analytics.{table} where not {untold}"
        width = key.count(",") + 1
        found = {row[:width]: row[width:] for row in source.conn.execute(query)}
        wanted = expected(queries, days)
        assert found.keys() == wanted.keys(), table
        assert alike(found, wanted), table
    (ignored,) = queries.rows("ignored_count")
    assert min(ignored.values()) > 0
    assert all(found == ignored for found in outcome.of_jobs("ignored_by_rule").values())
