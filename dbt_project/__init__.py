"""Runs this repository's dbt project: jobs, window, database and run log."""

from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
__version__ = "0.1.0"


@cache
def macros(name: str) -> Any:
    """Return the macros of `macros/<name>.sql` as functions; only those that use nothing of dbt."""
    from jinja2 import Environment  # comes with dbt, and not every command needs it

    text = (ROOT / "macros" / f"{name}.sql").read_text(encoding="utf-8")
    return Environment(extensions=["jinja2.ext.do"]).from_string(text).module
