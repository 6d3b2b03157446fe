"""The API's SQL: the files of `sql/`, which are Jinja templates with the macros of `macros.sql`."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from psycopg import sql

FOLDER = Path(__file__).with_name("sql")

# For each job, its tables and the column that tells which of their rows were written last.
NEWEST_ROWS = {
    "daily": [("daily_metric_rollups", "day")],
    "experiment": [("experiment_metric_rollups", "day"), ("experiment_catalog", "computed_at")],
    "funnel": [("funnel_rollups", "day")],
}


def environment(schema: str) -> Environment:
    """Return the templates' environment, with `analytics` for the quoted name of `schema`."""
    templates = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined)
    # psycopg looks for values behind every %.
    templates.globals["analytics"] = sql.Identifier(schema).as_string().replace("%", "%%")
    macros = templates.get_template("macros.sql").module
    templates.globals |= {
        name: macro for name, macro in vars(macros).items() if not name.startswith("_")
    }
    return templates


def load(schema: str) -> dict[str, str]:
    """Return the statements by name, on the tables of `schema`."""
    templates = environment(schema)
    statements = {
        path.stem: templates.get_template(path.name).render()
        for path in FOLDER.glob("*.sql")
        if path.stem not in ("macros", "version")
    }
    version = templates.get_template("version.sql")
    return statements | {
        f"version_{job}": version.render(job=job, tables=tables)
        for job, tables in NEWEST_ROWS.items()
    }
