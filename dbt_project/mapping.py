"""Views that map an app's tables to those that a run reads, with guesses from the catalogue."""

import re
from collections.abc import Iterable
from itertools import count

import psycopg

from dbt_project.columns import (
    EXPERIMENT_TABLES,
    READ,
    Column,
    Relation,
    dimensions,
    needed,
    optional,
    relations,
)
from dbt_project.window import JOBS

SCHEMA = "rollup_source"  # of the views
# Other names of columns, the likeliest first. Case, blanks, _ and - do not matter.
NAMES = {
    "anonymous_user_id": (
        "anonymous_user_id user_id uid anonymous_id distinct_id visitor_id customer_id client_id"
        " account_id member_id person_id profile_id device_id user"
    ),
    "event_name": "event_name event event_type event_title action activity name type",
    "occurred_at": (
        "occurred_at event_time event_timestamp event_at event_ts happened_at timestamp ts time"
        " datetime created_at client_time client_timestamp logged_at inserted_at"
    ),
    "received_at": "received_at ingested_at server_time server_timestamp loaded_at inserted_at",
    "experiment_map": "experiment_map experiments variants experiment_variants",
    "id": "id event_id uuid message_id insert_id",
    "session_id": "session_id session visit_id",
    "platform": "platform os os_name device_platform device_type",
    "app_version": "app_version version app_release",
    "properties": "properties props event_properties params payload attributes metadata data",
    "experiment_id": "experiment_id experiment test_id experiment_key experiment_name",
    "variant_id": "variant_id variant variation_id variation arm group bucket",
    "assigned_at": "assigned_at exposed_at enrolled_at timestamp ts time created_at",
    "status": "status state",
    "start_at": "start_at started_at starts_at start_time start_date",
    "end_at": "end_at ended_at ends_at end_time end_date",
    "targeting": "targeting audience",
    "variant_name": "variant_name name title",
    "weight": "weight allocation share split traffic",
    "is_control": "is_control control is_baseline baseline",
}
OWN_ID = {"experiments": "experiment_id", "experiment_variants": "variant_id"}
# Where there is no such column; {} is the expression of the column named before it.
ELSE = {
    "received_at": ("occurred_at", "{}"),
    "experiment_map": (None, "cast(null as jsonb)"),
    "platform": (None, "cast(null as text)"),
    "app_version": (None, "cast(null as text)"),
    "start_at": (None, "cast(null as timestamptz)"),
    "end_at": (None, "cast(null as timestamptz)"),
    "targeting": (None, "cast(null as jsonb)"),
    "variant_name": ("variant_id", "{}"),
    "weight": (None, "cast(1 as double precision)"),
}
# A table is recognized by these; by two of them, where no table has all.
TELLING = {
    "event_logs": ("anonymous_user_id", "event_name", "occurred_at"),
    "assignments": ("anonymous_user_id", "experiment_id", "variant_id", "assigned_at"),
    "experiments": ("experiment_id", "status"),
    "experiment_variants": ("experiment_id", "variant_id", "is_control"),
}
# What has users, names and times too, and is no log.
THINGS = "^(app_?)?(user|customer|account|member|person|people|profile|order|device|session)s?$"
HINTS = {
    "event_logs": "event|log|track|activit|click|analytic",
    "assignments": "assign|exposure|enrol",
    "experiments": "experiment|ab_?test",
    "experiment_variants": "variant|variation|arm",
}
SIZE = "{0} / case when {0} < 1e11 then 1 when {0} < 1e14 then 1e3 else 1e6 end"
UNITS = {
    "ms": "{0} / 1e3",
    "millis": "{0} / 1e3",
    "us": "{0} / 1e6",
    "micros": "{0} / 1e6",
    "ns": "{0} / 1e9",
    "nanos": "{0} / 1e9",
    "s": "{0}",
    "sec": "{0}",
    "seconds": "{0}",
}
UNIT = re.compile(f"_({'|'.join(UNITS)}|epoch|unix|utc)$", re.IGNORECASE)  # fmt: skip


def convert(kind: str, column: Column) -> str | None:
    """Return SQL for the column as a value of this kind, or None where it can be none."""
    name, base, text = column.sql, column.base, column.category == "S"
    if kind in ("time", "moment"):
        if base in ("timestamp", "timestamptz"):
            return name
        if text or base == "date":
            return f"cast({name} as {'timestamptz' if text else 'timestamp'})"
        if base in ("int4", "int8", "numeric", "float4", "float8"):
            unit = column.name.rpartition("_")[2].lower()
            return (
                f"to_timestamp({UNITS.get(unit, SIZE if base != 'int4' else '{0}').format(name)})"
            )
        return None
    if kind in ("map", "jsonb"):
        if base == "jsonb" or (kind == "map" and base == "json"):
            return name
        return f"cast({name} as jsonb)" if text or base in ("json", "hstore") else None
    if kind == "number":
        is_number = column.category == "N" and base != "money"
        return name if is_number else f"cast({name} as numeric)"
    if kind == "flag":
        if column.category == "N":
            return f"{name} <> 0"
        return name if base == "bool" else f"cast({name} as boolean)"
    if base in ("json", "xml", "point"):
        return f"cast({name} as text)"
    return name


def kinds(table: str) -> dict[str, str]:
    """Return every column of a mapping view, with its kind; "" for what no run reads."""
    known = READ[table] | (dimensions() if table == "event_logs" else {})
    return {name: known.get(name, "") for name in (*optional(table), *known)}


def guess(
    relation: Relation, table: str, wrong: Iterable[str] | None = None
) -> dict[str, tuple[Column, str]]:
    """Return which column serves for each of those of `table`, as SQL.

    `wrong` are the columns whose types do not serve, where that is known.
    """
    found: dict[str, tuple[Column, str]] = {}
    wanted = kinds(table)
    for name, kind in wanted.items():
        if (column := relation.columns.get(name)) and column.readable:
            as_is = column.sql
            converted = as_is if wrong is not None and name not in wrong else convert(kind, column)
            if converted == as_is and name in (wrong or ()):
                converted = f"cast({as_is} as text)"
            if converted:
                found[name] = column, converted
    plain_names = {
        plain(name): column
        for cut in (lambda name: UNIT.sub("", name), str)
        for name, column in ((cut(name), column) for name, column in relation.columns.items())
    }
    for name, kind in wanted.items():
        for other in names(table, name) if name not in found else ():
            column = plain_names.get(other)
            if not column or not column.readable or not _is_likely(name, kind, column):
                continue
            converted = convert(kind, column)
            # A column serves once.
            if converted and column not in [one for one, _ in found.values()]:
                found[name] = column, converted
                break
    return found


def _is_likely(name: str, kind: str, column: Column) -> bool:
    """Return whether a column of another name could be meant, by its type."""
    if name in ("properties", "experiment_map"):
        return column.base in ("json", "jsonb")
    if name == "event_name":
        return column.category in "SE"
    return kind not in ("name", "text") or column.category in "SENU"


def _is_as_is(found: dict[str, tuple[Column, str]], name: str) -> bool:
    column, expression = found.get(name, (None, ""))
    return column is not None and column.name == name and column.sql == expression


def _alias(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else f'"{name}"'


def plain(name: str) -> str:
    return re.sub("[ _-]", "", name.lower())


def names(table: str, name: str) -> list[str]:
    """Return what the column may be called, the likeliest first."""
    own = " key id name" if OWN_ID.get(table) == name else ""
    return [plain(one) for one in (NAMES.get(name, name) + own).split()]


def view(
    relation: Relation | None, table: str, schema: str, wrong: Iterable[str] | None = None
) -> str:
    """Return the statement that creates the view for `table` in `schema`.

    What could not be guessed stands as <a question>, which PostgreSQL refuses as a name.
    """
    found = guess(relation, table, wrong) if relation else {}
    told: dict[str, str] = {}
    notes: dict[str, str] = {}
    for name, kind in kinds(table).items():
        if name in found:
            told[name] = found[name][1]
            notes[name] = "" if _is_as_is(found, name) else "  -- a guess"
        elif name in ELSE:
            other, expression = ELSE[name]
            told[name] = expression.format(told.get(other or ""))
            notes[name] = "  -- no such column was found"
        elif kind:
            told[name] = f'"<which column is {name}?>"'
    lines = [
        f"    {expression}{'' if _is_as_is(found, name) else f' as {_alias(name)}'}"
        f"{',' * (nth < len(told))}{notes.get(name, '')}"
        for nth, (name, expression) in enumerate(told.items(), start=1)
    ]
    source = relation.sql if relation else '"<which table is the log of events?>"'
    head = f"create view {schema}.{table} as\nselect\n"
    return head + "\n".join(lines) + f"\nfrom {source};"


def copied(relation: Relation, schema: str) -> str:
    """Return the statement that creates a view of a table that serves as it is."""
    return f"create view {schema}.{relation.name} as select * from {relation.sql};"


def script(views: Iterable[str], schema: str) -> str:
    """Return what creates the views in a schema of their own: all of it, or nothing."""
    return "\n\n".join(("begin;", f"create schema {schema};", *views, "commit;"))


def free_schema(conn: psycopg.Connection) -> str:
    """Return a name for the schema of the views that is not taken."""
    taken = {name for (name,) in conn.execute("select nspname from pg_namespace")}
    names = (f"{SCHEMA}_{number}" if number > 1 else SCHEMA for number in count(1))
    return next(name for name in names if name not in taken)


def template(conn: psycopg.Connection, source: str, analytics: str) -> str:
    """Return the mapping views for the tables that look most like those of a run, with advice."""
    with conn.transaction():
        known, schema = relations(conn), free_schema(conn)
    ready = {one.name: one for one in known if one.schema == source and one.name in READ}
    tables = ["event_logs", *(EXPERIMENT_TABLES if READ.keys() <= ready.keys() else ())]
    if "event_logs" in ready and all(
        _serves(ready[table], table, JOBS if tables[1:] else ()) for table in tables
    ):
        none = f"Schema {source} has what a run reads, so no view is needed: run `python cli.py`."
        return comment([none])
    candidates = [
        one for one in known if one.schema != analytics and not one.schema.startswith(SCHEMA)
    ]
    chosen: dict[str, Relation | None] = {}
    others: list[Relation] = []  # that look like a log
    for table in READ:
        scores = {one.sql: likeness(one, table, source) for one in candidates}
        alike = [one for one in candidates if scores[one.sql]]
        alike.sort(key=lambda one: -scores[one.sql])
        chosen[table] = alike[0] if alike else None
        others = others if table in EXPERIMENT_TABLES else alike[1:4]
        candidates = [one for one in candidates if one is not chosen[table]]
    tables = ["event_logs", *(EXPERIMENT_TABLES if all(map(chosen.get, EXPERIMENT_TABLES)) else ())]
    text = script((view(chosen[table], table, schema) for table in tables), schema)
    advice = [
        "The tables that a run reads, as views of yours: guessed from the names and types of",
        "columns alone, no row was read. Look at every line that says so; docs/your-tables.md",
        "tells what each column means.",
    ]
    others = [one for one in others if one not in chosen.values()]
    if others:
        advice.append(f"Also looks like a log: {', '.join(one.sql for one in others)}.")
    if len(tables) == 1:
        advice += ["No tables of experiments were found. Only the job experiment needs them."]
    if open_ := len(re.findall('"<which .+?>"', text)):
        advice.append(f"FIRST replace what stands in <…> ({open_}): PostgreSQL refuses it.")
    advice += [
        'Then run it, psql "$DATABASE_URL" -f FILE, and',
        f"export SOURCE_SCHEMA={schema} before `python cli.py`. If another role runs that,",
        "`python cli.py init --writer ROLE` lets the role read the views.",
    ]
    return f"{comment(advice)}\n\n{text}"


def comment(lines: Iterable[str]) -> str:
    return "\n".join(f"-- {line}" for line in lines)


def _serves(relation: Relation, table: str, jobs: Iterable[str]) -> bool:
    found = guess(relation, table)
    return all(_is_as_is(found, name) for name in needed(table, jobs))


def likeness(relation: Relation, table: str, source: str) -> float:
    """Return how much a table looks like `table`; 0 if it does not."""
    found = guess(relation, table)
    telling = [name for name in TELLING[table] if name in found]
    if len(telling) < (2 if table == "event_logs" else len(TELLING[table])):
        return 0
    points = 0.0
    for name in telling:
        called = names(table, name)
        given = found[name][0].name
        place = min(called.index(one) for one in (plain(given), plain(UNIT.sub("", given)))
                    if one in called)  # fmt: skip
        points += 13 - 3 * place / len(called)
    hint = bool(re.search(HINTS[table], relation.name, re.IGNORECASE))
    thing = bool(re.search(THINGS, relation.name, re.IGNORECASE)) and not hint
    named = 2 * (relation.name == table) + (relation.schema == source)
    return points + 5 * hint - 8 * thing + named + len(found) / 2
