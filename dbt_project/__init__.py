"""Runs this repository's dbt project: jobs, window, database and run log."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
__version__ = "0.1.0"
