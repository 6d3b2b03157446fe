"""Keep what dbt works out from the same text in every one of the tests' hundreds of runs.

dbt does the same as without this, in half the time.
"""

import re
from collections.abc import Callable
from functools import cache, wraps
from types import SimpleNamespace
from typing import Any

import pytest


def patch(patch: pytest.MonkeyPatch) -> None:
    """Let dbt remember, until `patch` is undone."""
    # Not above: pytest's own process would wait for these before it starts its workers.
    from dbt import compilation
    from dbt.plugins.manager import PluginManager
    from dbt_common.behavior_flags import BehaviorFlagRendered
    from dbt_common.clients.jinja import MacroFuzzEnvironment
    from dbt_common.tests import enable_test_caching

    enable_test_caching()  # dbt's own: the syntax trees of macros and models
    for name in ("parse", "compile"):
        kept = remembered(
            getattr(MacroFuzzEnvironment, name), lambda env, *given: (type(env), given)
        )
        patch.setattr(MacroFuzzEnvironment, name, kept)
    inject = quick_inject(compilation.inject_ctes_into_sql)
    patch.setattr(compilation, "inject_ctes_into_sql", inject)
    # For one line of the log dbt walks the stack 50 times a run, and pytest's stack is deep.
    patch.setattr(BehaviorFlagRendered, "_default_source", staticmethod(lambda: "dbt"))
    # Every invocation looks for plugins on the whole of Python's path.
    found = cache(PluginManager.get_prefixed_modules)
    patch.setattr(PluginManager, "get_prefixed_modules", found)


def remembered(function: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a memory of its results, found again by `key` of its arguments."""
    results: dict[Any, Any] = {}

    def from_memory(*given: Any) -> Any:
        known = key(*given)
        if known not in results:
            results[known] = function(*given)
        return results[known]

    return from_memory


def quick_inject(inject: Callable[[str, list], str]) -> Callable[[str, list], str]:
    """Return dbt's function that puts CTEs after a model's first WITH, without its slow parsing.

    It parses the whole SQL to find the place, which is the same whatever the literals are.
    """
    place = SimpleNamespace(sql="\0")
    template = cache(lambda shape: inject(shape, [place]).partition(place.sql))

    @wraps(inject)  # a test compares the two
    def quick(sql: str, ctes: list) -> str:
        head, _, tail = template(re.sub("'[^']*'", "''", sql))
        if not ctes or not tail.startswith(", ") or not sql.startswith(head):
            return inject(sql, ctes)
        return head + ", ".join(cte.sql for cte in ctes) + ", " + sql[len(head) :]

    return quick
