"""Runs this repository's dbt project: jobs, window, database and run log."""

from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
__version__ = "0.1.0"


@cache
def macros(*names: str) -> Any:
    """Return the macros of `macros/<name>.sql` as functions; only those that use nothing of dbt.

    Macros of one file can use those of another one that is named, too.
    """
    from jinja2 import Environment  # comes with dbt, and not every command needs it

    files = (ROOT / "macros" / f"{name}.sql" for name in names)
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return Environment(extensions=["jinja2.ext.do"]).from_string(text).module
