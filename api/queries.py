"""The API's SQL: the files of `sql/`, with the few things that stand for something replaced.

A role that may only read cannot create functions, so `js_number(x)` and its like are written in
the files as if they existed, and put in place here.
"""

import re
from pathlib import Path

from psycopg import sql

FOLDER = Path(__file__).with_name("sql")

# For each job, where to look for when its newest rows were written.
NEWEST_ROWS = {
    "daily": ["from analytics.daily_metric_rollups order by day desc limit 1"],
    "experiment": [
        "from analytics.experiment_metric_rollups order by day desc limit 1",
        "from analytics.experiment_catalog order by computed_at desc limit 1",
    ],
    "funnel": ["from analytics.funnel_rollups order by day desc limit 1"],
}

MACROS = {
    # A number as JavaScript prints it: 12, not 12.0 or 1e+15; what JSON cannot say is null.
    "js_number": r"""case
        when \1 = 0 then cast('0' as json)
        when abs(\1) >= 0.0001 and abs(\1) < 1e15 then to_json(\1)
        when abs(\1) >= 0.000001 and abs(\1) < 1e21
            then to_json(cast(cast(\1 as text) as numeric))
        when abs(\1) < 'Infinity'
            then cast(replace(cast(\1 as text), 'e-0', 'e-') as json)
        else cast('null' as json)
    end""",
    # Instants as JavaScript prints them. One that is infinite is null. A date would be taken for
    # a midnight in the session's TimeZone, which not every day has.
    "js_time": r"""to_char(\1 at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
    "js_midnight": r"""to_char(cast(\1 as timestamp), 'YYYY-MM-DD"T00:00:00.000Z"')""",
}


def load(schema: str) -> dict[str, str]:
    """Return the statements by name, on the tables of `schema`."""
    quoted = sql.Identifier(schema).as_string().replace("%", "%%")
    statements = {path.stem: path.read_text() for path in FOLDER.glob("*.sql")}
    version = statements.pop("version")
    for job, newest in NEWEST_ROWS.items():
        stamps = ", ".join(f"(select extract(epoch from computed_at) {rows})" for rows in newest)
        statements[f"version_{job}"] = version.replace("this_job()", f"'{job}'").replace(
            "newest_rows()", stamps
        )
    return {name: expanded(text, quoted) for name, text in statements.items()}


def expanded(text: str, schema: str) -> str:
    """Return a statement with what stands for something in it replaced; `schema` is quoted."""
    for name, body in MACROS.items():
        text = re.sub(rf"\b{name}\(((?:[^()]|\([^()]*\))*)\)", body, text)
    # Comments go, because psycopg would look for values in them.
    text = re.sub(r"^\s*--.*\n", "", text, flags=re.M)
    return re.sub(r"\banalytics\.", lambda _: f"{schema}.", text).strip()
