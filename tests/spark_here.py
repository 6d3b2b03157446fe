"""Whether this machine can run Spark, without which its tests are skipped, and loudly."""

import os
import shutil
from importlib.util import find_spec
from typing import Any

import pytest

LOUD = "SPARK WAS NOT TESTED"
MISSING = [
    *([] if shutil.which("java") or os.environ.get("JAVA_HOME") else ["Java"]),
    *([] if find_spec("pyspark") else ["pyspark, of the extra `spark`"]),
]
REASON = f"{LOUD}: there is no {' and no '.join(MISSING)}"
required = pytest.mark.skipif(bool(MISSING), reason=REASON)


def check() -> None:
    """Raise UsageError where Spark must be tested, as in CI, and cannot be."""
    if MISSING and os.environ.get("REQUIRE_SPARK"):
        raise pytest.UsageError(f"{REASON}. On Debian: apt-get install openjdk-17-jre-headless")


def tell(terminalreporter: Any) -> None:
    """Say at the end of the tests that Spark's were skipped."""
    if any(LOUD in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.section(LOUD, sep="!", red=True, bold=True)
        terminalreporter.write_line(REASON)
