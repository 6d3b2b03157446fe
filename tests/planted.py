"""Functions and operators that an app could plant in `public`, to run as the caller.

PostgreSQL prefers the candidate whose types fit best, wherever on the search_path it lies. So a
better fitting overload of each function that the project calls is planted, and an operator for
each pair of types that PostgreSQL has none for. Each counts its calls in a sequence, which a
rollback does not undo.
"""

import re

import psycopg

from dbt_project import ROOT

SQL = ("models/**/*.sql", "macros/**/*.sql", "tests/*/*.sql", "api/**/*.sql", "dbt_project/**/*.sql")
PYTHON = ("dbt_project/**/*.py", "api/*.py")
DBT = ".venv/lib/python3*/site-packages/dbt/include/*/macros/**/*.sql"
# What an argument of the first type is often given as.
CLOSER = {
    "bigint": ("integer",),
    "oid": ("regclass", "regnamespace"),
    "text": ("name",),
    "interval": ("text",),
    "timestamp without time zone": ("text",),
    "timestamp with time zone": ("text",),
    "double precision": ("integer", "bigint", "numeric"),
    "numeric": ("integer", "bigint", "double precision"),
    '"any"': ("text", "integer", "json", "double precision"),
    "anyelement": ("text", "date", "timestamp", "double precision"),
    "json": ("jsonb",),
    "anyarray": ("text[]",),
    "jsonb": ("text",),
    "date": ("text",),
}
TYPES = [
    "text", "name", '"char"', "boolean", "integer", "bigint", "numeric", "double precision", "oid",
    "regclass", "uuid", "date", "interval", "timestamp", "timestamptz", "json", "jsonb", "text[]",
]  # fmt: skip
LIKE = {"~~", "!~~", "~~*", "!~~*"}
PLANT = """
create sequence public.ran;
grant usage on sequence public.ran to public;

create function public.plant(kind text, arguments text, out_type text) returns void
language plpgsql set search_path = pg_catalog as $plant$
begin
    execute format(
        'create function public.%I(%s) returns %s language plpgsql as '
        '$$ begin perform pg_catalog.nextval(''public.ran''); '
        'raise exception ''planted %s(%s) ran''; end $$',
        kind, arguments, out_type, kind, arguments
    );
exception when others then null;  -- some combinations PostgreSQL does not accept
end $plant$;

create function public.plant_operator(kind text, a text, b text) returns void
language plpgsql set search_path = pg_catalog as $plant$
begin
    execute format(
        'create operator public.%s (leftarg = %s, rightarg = %s, function = public.operated)',
        kind, a, b
    );
exception when others then null;
end $plant$;
"""
FUNCTIONS = """
select proname, array(
    select format_type(argument, null)
    from unnest(proargtypes) with ordinality as types (argument, place) order by place
), format_type(prorettype, null), provariadic <> 0
from pg_catalog.pg_proc
where
    proname = any(%s) and pronargs between 1 and 4 and prokind in ('f', 'a')
    and pronamespace = 'pg_catalog'::regnamespace
"""
OPERATED = """
select public.plant('operated', a || ', ' || b, 'boolean')
from unnest(%(types)s::text[]) as a cross join unnest(%(types)s::text[]) as b
"""
OPERATORS = """
select public.plant_operator(name, a, b)
from unnest(%(types)s::text[]) as a cross join unnest(%(types)s::text[]) as b cross join (
    select distinct oprname from pg_catalog.pg_operator where oprname = any(%(operators)s)
) as known (name)
where not exists (
    select from pg_catalog.pg_operator
    where oprname = name and oprleft = a::regtype and oprright = b::regtype
)
"""


def plant(conn: psycopg.Connection) -> None:
    """Plant in `public` as the role of `conn`, which needs the right to create there."""
    conn.execute("set search_path = pg_catalog")  # or the planted functions would be called here
    conn.execute(PLANT)
    functions = conn.execute(FUNCTIONS, [sorted(called(r"\b([a-z_0-9]+)\s*\("))]).fetchall()
    overloads = {
        (name, ", ".join(closer), out if "any" not in out else "text")
        for name, types, out, is_variadic in functions
        for given in ([types, types + types[-1:]] if is_variadic else [types])
        for closer in _closer(given) - {tuple(types)}
    }
    with conn.cursor() as cursor:
        cursor.executemany("select public.plant(%s, %s, %s)", sorted(overloads))
    operators = sorted(called(r"(?<=\s)([-+*/<>=|#%~@&?!]+)(?=\s)") | LIKE)
    for query in (OPERATED, OPERATORS):
        conn.execute(query, {"types": TYPES, "operators": operators})
    conn.execute("reset search_path")


def calls(conn: psycopg.Connection) -> int:
    """Return how many planted calls ran since the last time."""
    query = "select case when is_called then last_value else 0 end from public.ran"
    (number,) = conn.execute(query).fetchone()
    conn.execute("alter sequence public.ran restart")
    return number


def called(pattern: str) -> set[str]:
    """Return the matches of `pattern` in the SQL of the project and of dbt."""
    files = (path for glob in (*SQL, *PYTHON, DBT) for path in ROOT.glob(glob))
    return {name for path in files for name in re.findall(pattern, path.read_text())}


def _closer(types: list[str]) -> set[tuple[str, ...]]:
    """Return the argument lists that fit some call as well as `types`, or better."""
    found = {()}
    for kind in types:
        found = {(*before, one) for before in found for one in (kind, *CLOSER.get(kind, ()))}
    return found
