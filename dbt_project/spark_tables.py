"""Reads from Spark over the connection that dbt uses, whichever SPARK_METHOD names."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dbt_project import ROOT, macros
from dbt_project.lake.place import given_path
from dbt_project.our_tables import described
from dbt_project.publish import Read, Rows
from dbt_project.settings import lake_path
from dbt_project.spark import SparkFailed
from dbt_project.window import MAX_DAYS, Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME = "timestamp with time zone"
# Spark has no infinite times; the ends of its calendar stand for them.
ENDS = {"253402300799999999": "infinity", "-62135596800000000": "-infinity"}
CHUNK = 2000  # rows of one statement

Query = Callable[[str], list[tuple[str | None, ...]]]


@contextmanager
def opened() -> Iterator[Query]:
    """Yield a function of a query, whose columns must be texts, that returns its rows.

    The environment must be the one that dbt gets. Raises SparkFailed.
    """
    import yaml
    from dbt.adapters.contracts.connection import Connection, ConnectionState, Identifier
    from dbt.adapters.spark.connections import SparkConnectionManager, SparkCredentials
    from dbt.config.renderer import ProfileRenderer
    from dbt_common.context import set_invocation_context

    set_invocation_context(os.environ)  # where dbt looks for the profile's variables
    profile = yaml.safe_load((ROOT / "profiles.yml.example").read_text(encoding="utf-8"))
    given = ProfileRenderer({}).render_data(profile["analytics_rollups"]["outputs"]["spark"])
    credentials = SparkCredentials.from_dict(
        {name: value for name, value in given.items() if name not in ("type", "threads")}
    )
    connection: Any = Connection(Identifier("spark"), "publish", credentials)
    connection.state = ConnectionState.INIT
    try:
        SparkConnectionManager.open(connection)
    except Exception as error:
        raise SparkFailed(f"Spark cannot be reached: {_reason(error)}") from error

    def query(text: str) -> list[tuple[str | None, ...]]:
        cursor = connection.handle.cursor()
        try:
            cursor.execute(text)
            # Over Thrift, what returns nothing has nothing to fetch.
            return [tuple(row) for row in cursor.fetchall() or []] if cursor.description else []
        except Exception as error:  # each method has exceptions of its own, some with no base
            raise SparkFailed(f"Spark could not run a query: {_reason(error)}") from error

    with closing(connection.handle):
        yield query


def reader(query: Query, schema: str, window: Window) -> Read:
    """Return what reads the window's rows of a table, as PostgreSQL's text."""

    def read(table: str, columns: Mapping[str, str]) -> Rows:
        selected = ", ".join(_as_text(column, kind) for column, kind in columns.items())
        meta = described().get(table, {}).get("config", {}).get("meta", {})
        days = ""
        if meta.get("shows_events"):
            rules = macros("run_limits", "replace_rows")
            days = f" where {rules.meets_days(meta, window.first, window.last)}"
        times = [kind == TIME for kind in columns.values()]
        for row in query(f"select {selected} from {quoted(schema, table)}{days}"):
            yield [_instant(value) if is_time else value
                   for value, is_time in zip(row, times, strict=True)]  # fmt: skip

    return read


def agree(
    query: Query,
    schema: str,
    table: str,
    columns: Mapping[str, str],
    stored: Sequence[Sequence[str | None]],
) -> bool:
    """Make a table, whose partitions are days, hold what PostgreSQL stores of it.

    Returns whether that changed anything. Rows that differ only in when they were computed agree.
    """
    name = quoted(schema, table)
    selected = ", ".join(_as_text(column, kind) for column, kind in columns.items())
    there = _by_day(query(f"select {selected} from {name}"), columns)
    wanted = _by_day([_for_spark(row, columns) for row in stored], columns)
    changed = [day for day, rows in wanted.items() if there.get(day, {}).keys() != rows.keys()]
    gone = there.keys() - wanted.keys()
    for day in gone:
        query(f"alter table {name} drop if exists partition (day = date '{day}')")
    types = {str(row[0]): str(row[1]) for row in query(f"describe query select * from {name}")}
    values: list[str] = []
    query("set spark.sql.sources.partitionOverwriteMode = dynamic")  # or other days would go
    for nth, day in enumerate(changed, start=1):
        for row in wanted[day].values():
            given = dict(zip(columns, row, strict=True))
            values.append(f"({', '.join(_literal(given[one], types[one]) for one in types)})")
        if len(values) > CHUNK or nth == len(changed):
            query(f"insert overwrite table {name} partition (day) values {', '.join(values)}")
            values = []
    return bool(changed or gone)


def _by_day(
    rows: Iterable[Sequence[str | None]], columns: Mapping[str, str]
) -> dict[str, dict[tuple, Sequence[str | None]]]:
    """Return the rows of each day, by what of them must agree."""
    names, kinds = list(columns), list(columns.values())
    found: dict[str, dict[tuple, Sequence[str | None]]] = {}
    for row in rows:
        agreed = tuple(
            _number(value) if value is not None and kind == "double precision" else value
            for name, kind, value in zip(names, kinds, row, strict=True)
            if name != "computed_at"
        )
        found.setdefault(str(row[names.index("day")]), {})[agreed] = row
    return found


def _number(text: str) -> float | str:
    """Return a number that equals itself, which one that is none does not."""
    number = float(text)
    return number if number == number else "NaN"


def _for_spark(row: Sequence[str | None], columns: Mapping[str, str]) -> list[str | None]:
    """Return PostgreSQL's texts with times as microseconds."""
    return [
        _micros(value) if value is not None and kind == TIME else value
        for value, kind in zip(row, columns.values(), strict=True)
    ]


def _micros(text: str) -> str:
    for micros, name in ENDS.items():
        if text == name:
            return micros
    return str((datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1))


def _literal(value: str | None, kind: str) -> str:
    if value is None:
        return f"cast(null as {kind})"
    if kind == "timestamp":
        return f"timestamp_micros({value})"
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"cast('{text}' as {kind})"


def first_event(query: Query, source: str, as_of: datetime) -> datetime | None:
    """Return when the first valid event occurred, or None if there is none.

    Looks for its day by halves, so that only one day of the log is read.
    """
    place = ("parquet", f"{given_path()}/event_logs") if lake_path() else (source, "event_logs")
    logs = quoted(*place)
    since, until = as_of - timedelta(days=MAX_DAYS), as_of + timedelta(minutes=5)
    valid = " and ".join(
        f"occurred_at {sign} timestamp '{at.astimezone(UTC).replace(tzinfo=None)}+00:00'"
        for sign, at in ((">=", since), ("<=", until))
    )
    where = valid
    if ("day", "date") in [row[:2] for row in query(f"describe query select * from {logs}")]:
        first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()

        def found(low: date, high: date) -> str:
            return f"day between date '{low}' and date '{high}' and {valid}"

        if not query(f"select '1' from {logs} where {found(first, last)} limit 1"):
            return None
        while first < last:
            middle = first + (last - first) // 2
            if query(f"select '1' from {logs} where {found(first, middle)} limit 1"):
                last = middle
            else:
                first = middle + timedelta(days=1)
        where = found(first, last)
    [(micros,)] = query(
        f"select cast(unix_micros(min(cast(occurred_at as timestamp))) as string) from {logs}"
        f" where {where}"
    )
    return EPOCH + timedelta(microseconds=int(micros)) if micros else None


def _reason(error: Exception) -> str:
    """Return the line of a message that says what happened; pages of Java follow it."""
    answer = next(iter(error.args), None)  # over Thrift, with the stack as part of its one line
    text = getattr(getattr(answer, "status", None), "errorMessage", None) or str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    titles = ("Database Error", "Runtime Error", "Compilation Error")  # of dbt
    return next((line for line in lines if line not in titles), type(error).__name__)


def quoted(*names: str) -> str:
    """Return a name of Spark's in its quotes."""
    return ".".join("`{}`".format(name.replace("`", "``")) for name in names)


def _as_text(column: str, kind: str) -> str:
    name = quoted(column)
    return f"cast({f'unix_micros({name})' if kind == TIME else name} as string) as {name}"


def _instant(micros: str | None) -> str | None:
    """Return PostgreSQL's text for microseconds since 1970."""
    if micros is None or micros in ENDS:
        return micros and ENDS[micros]
    return (EPOCH + timedelta(microseconds=int(micros))).isoformat()
