"""Functions and operators that an app could plant in `public` to be run by whoever calls them.

PostgreSQL prefers the candidate whose types fit best, wherever on the search_path it lies. So a
better fitting overload of each function that the project calls is planted, and an operator for
each pair of types that PostgreSQL has none for. Each counts its calls in a sequence, which a
rollback does not undo.
"""

import re

import psycopg

from dbt_project import ROOT

SQL = ("models/**/*.sql", "macros/*.sql", "tests/*/*.sql", "api/**/*.sql", "dbt_project/**/*.sql")
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
    '"any"': ("text", "integer"),
    "anyelement": ("text", "date", "timestamp"),
    "anyarray": ("text[]",),
    "jsonb": ("text",),
    "date": ("text",),
}
PLANT = """
create sequence public.ran;
grant usage on sequence public.ran to public;

create function public.plant(kind text, arguments text[], out_type text) returns void
language plpgsql set search_path = pg_catalog as $plant$
begin
    execute format(
        'create function public.%%I(%%s) returns %%s language plpgsql as '
        '$$ begin perform pg_catalog.nextval(''public.ran''); '
        'raise exception ''planted %%s(%%s) ran''; end $$',
        kind, array_to_string(arguments, ', '), out_type, kind, array_to_string(arguments, ', ')
    );
exception when others then null;  -- some combinations PostgreSQL does not accept
end $plant$;
"""
FUNCTIONS = """
select proname, array(
    select format_type(argument, null)
    from unnest(proargtypes) with ordinality as types (argument, place) order by place
), format_type(prorettype, null)
from pg_catalog.pg_proc
where
    proname = any(%s) and pronargs between 1 and 4 and prokind in ('f', 'a')
    and pronamespace = 'pg_catalog'::regnamespace
"""
OPERATORS = """
do $do$
declare one record;
begin
    for one in
        select name, a, b
        from unnest(array[
            'text', 'name', '"char"', 'integer', 'bigint', 'oid', 'regclass', 'date', 'interval',
            'timestamp', 'timestamptz', 'double precision', 'text[]'
        ]) as a
        cross join unnest(array[
            'text', 'name', '"char"', 'integer', 'bigint', 'oid', 'regclass', 'date', 'interval',
            'timestamp', 'timestamptz', 'double precision', 'text[]'
        ]) as b
        cross join unnest(array[
            '=', '<>', '<', '<=', '>', '>=', '~', '!~', '~~', '~~*', '||', '+', '-', '*', '/'
        ]) as name
        where not exists (
            select from pg_catalog.pg_operator
            where oprname = name and oprleft = a::regtype and oprright = b::regtype
        )
    loop
        begin
            perform public.plant('operator_function', array[one.a, one.b], 'boolean');
            execute format(
                'create operator public.%s (leftarg = %s, rightarg = %s, function = '
                'public.operator_function)', one.name, one.a, one.b
            );
        exception when others then null;
        end;
    end loop;
end $do$
"""


def plant(conn: psycopg.Connection) -> None:
    """Plant in `public` as the role of `conn`, which needs the right to create there."""
    conn.execute("set search_path = pg_catalog")  # or what is planted would stop the planting
    conn.execute(PLANT.replace("%%", "%"))
    functions = conn.execute(FUNCTIONS, [sorted(called())]).fetchall()
    overloads = {
        (name, variant, out) for name, types, out in functions for variant in _closer(tuple(types))
    }
    with conn.cursor() as cursor:
        cursor.executemany("select public.plant(%s, %s, %s)", [
            (name, list(types), out if "any" not in out else "text")
            for name, types, out in sorted(overloads)
        ])  # fmt: skip
    conn.execute(OPERATORS)
    conn.execute("reset search_path")


def calls(conn: psycopg.Connection) -> int:
    """Return how often something planted ran."""
    row = conn.execute("select case when is_called then last_value else 0 end from public.ran")
    return row.fetchone()[0]


def called() -> set[str]:
    """Return every word that the project, or dbt for it, writes before a parenthesis."""
    files = (path for pattern in (*SQL, *PYTHON, DBT) for path in ROOT.glob(pattern))
    return {name for path in files for name in re.findall(r"\b([a-z_0-9]+)\s*\(", path.read_text())}


def _closer(types: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return the argument lists that fit some call better than `types`."""
    found = {()}
    for kind in types:
        found = {(*before, one) for before in found for one in (kind, *CLOSER.get(kind, ()))}
    return found - {types}
