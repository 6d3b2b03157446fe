"""The API's SQL: Jinja templates in `sql/`, with the macros of `macros.sql`."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from psycopg import sql

from dbt_project.window import JOBS, ROLLUPS

FOLDER = Path(__file__).with_name("sql")

# The tables of each job, its rollup first. The last rows by this column were written last.
# Some of a job's tables came with a later version, which one of another job may give away.
TABLES: dict[str, dict[str, str | None]] = {
    "daily": {"daily_metric_rollups": "day"},
    "experiment": {"experiment_metric_rollups": "day", "experiment_catalog": "computed_at"},
    "funnel": {"funnel_rollups": "day", "funnel_steps": None},
    "readouts": {
        "experiment_readouts": "computed_at",
        "experiment_health": "computed_at",
        "experiment_statistics": None,
    },
    "conversions": {"funnel_conversion_rollups": "day", "daily_dimension_rollups": None},
    "dimensions": {"daily_dimension_rollups": "day", "funnel_conversion_rollups": None},
    "retention": {"retention_rollups": "period_start", "active_user_rollups": "day"},
}
# The names of each job in the run log: ours, and those of the Node worker.
NAMES = {job: [job, *sorted({f"{job}_rollup", f"{job}_rollups", ROLLUPS[job]})] for job in JOBS}
MADE_BY = {
    **NAMES,
    "readouts": NAMES["experiment"],
    "conversions": NAMES["funnel"],
    "dimensions": NAMES["daily"],
}


def environment(schema: str) -> Environment:
    """Return the templates' environment, with the name of `schema`, also as text."""
    templates = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined)
    # psycopg reads % as the start of a placeholder.
    name = sql.Identifier(schema).as_string()
    templates.globals["analytics"] = name.replace("%", "%%")
    templates.globals["analytics_text"] = sql.quote(name).replace("%", "%%")
    templates.globals["job_names"] = NAMES
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
        if path.stem not in ("macros", "job")
    }
    job_state = templates.get_template("job.sql")
    for job, tables in TABLES.items():
        dated = [(table, column) for table, column in tables.items() if column]
        statements[f"job_{job}"] = job_state.render(names=MADE_BY[job], tables=dated)
    return statements
