"""The jobs and what dbt calls them.

A job is a folder: of models, of seeds and of tests. Its name is the selector, so
`dbt build --select daily` and `rollup --job daily` build the same.
"""

JOBS = ("daily", "experiment", "funnel")

# The model whose rows count as the job's, and the one whose failure keeps the rest from
# running.
ROLLUPS = {
    "daily": "daily_metric_rollups",
    "experiment": "experiment_metric_rollups",
    "funnel": "funnel_rollups",
}

# The folder of the tests that compare jobs.
ACROSS = "across"


def selection(jobs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the dbt selectors for `jobs`, each once and in the order of `JOBS`.

    Tests that compare jobs stand in a folder of their own. They need no selector: dbt adds a
    test where everything it reads is selected.
    """
    return tuple(job for job in JOBS if job in jobs)


def jobs_of(fqn: list[str], jobs: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of `jobs` a dbt node belongs to: the one whose folder it is in, or all."""
    return (fqn[1],) if len(fqn) > 1 and fqn[1] in jobs else jobs
