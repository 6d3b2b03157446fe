"""Functions and operators that the owner of `public` planted; none of them runs as the API."""

import re

import pytest
from api_helpers import TOKEN, fetch
from pgbouncer import pgbouncer
from psycopg import ClientCursor

PATHS = [f"/v1/metrics/{name}" for name in ("daily", "experiments", "funnels", "summary")]
PATHS += [*(f"{path}?format=csv" for path in PATHS[:3]), "/v1/runs", "/ready"]
# Overloads of every name for one and for two arguments of every type that the API's SQL handles.
# An exact match in `public` beats whatever pg_catalog could only reach by a cast.
PLANT = """
    do $do$
    declare
        types text[] := array['text', 'text[]', 'date', 'timestamp', 'timestamptz', 'boolean',
            'double precision', 'bigint', 'integer', 'numeric', 'json', 'jsonb', 'uuid'];
        body text := 'returns text language plpgsql as $$begin raise ''planted''; end$$';
        functions text[] := %(functions)s;
        operators text[] := %(operators)s;
        one text; other text; name text;
    begin
        foreach one in array types loop
            foreach name in array functions loop
                execute format('create function public.%%I(%%s) %%s', name, one, body);
            end loop;
            foreach other in array types loop
                foreach name in array functions || array['planted'] loop
                    execute format('create function public.%%I(%%s, %%s) %%s',
                        name, one, other, body);
                end loop;
                foreach name in array operators loop
                    execute format('create operator public.%%s (function = public.planted,'
                        ' leftarg = %%s, rightarg = %%s)', name, one, other);
                end loop;
            end loop;
        end loop;
    end $do$
"""


@pytest.mark.parametrize("way", ["directly", "through a pooler"])
def test_nothing_of_public_runs(api_client, api_copy, server, folder, way):
    client = api_client(api_copy.info.dsn)
    before = [fetch(client, path) for path in PATHS]
    assert {answer.status_code for answer in before} == {200}
    sql = "\n".join(client.application.extensions["queries"].values())
    named = [
        {name for (name,) in api_copy.execute(f"select distinct {column} from {table}")}
        for column, table in (("proname", "pg_proc"), ("oprname", "pg_operator"))
    ]
    functions = named[0] & set(re.findall(r"(\w+)\s*\(", sql))
    operators = named[1] & set(re.findall(r"(?<=\s)[-+*/<>=|#%~@&?]+(?=\s)", sql))
    assert {"to_char", "max"} <= functions and {"=", "<>", "<", ">="} <= operators
    ClientCursor(api_copy).execute(PLANT, {"functions": [*functions], "operators": [*operators]})
    if way == "directly":
        planted = [fetch(client, path) for path in PATHS]
    else:
        with pgbouncer(server, folder) as port:
            pooled = f"postgresql://postgres@127.0.0.1:{port}/{api_copy.info.dbname}"
            planted = [fetch(api_client(pooled, token=TOKEN), path) for path in PATHS]
    assert [answer.text for answer in planted] == [answer.text for answer in before]
