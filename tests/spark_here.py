"""Whether this machine can run Spark, without which its tests are skipped, and loudly; and how."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

LOUD = "SPARK WAS NOT TESTED"
MISSING = [
    *([] if shutil.which("java") or os.environ.get("JAVA_HOME") else ["Java"]),
    *([] if find_spec("pyspark") else ["pyspark, of the extra `spark`"]),
]
REASON = f"{LOUD}: there is no {' and no '.join(MISSING)}"
required = pytest.mark.skipif(bool(MISSING), reason=REASON)

in_process = [
    required,
    # Spark's Python leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# Settings of a small machine; to compile code, and to plan again, takes longer than so few rows.
DEFAULTS = """
spark.driver.memory 1g
spark.sql.adaptive.enabled false
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.sql.sources.parallelPartitionDiscovery.threshold 1000
"""
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"


@contextmanager
def small(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let runs of this process share a small Spark, whose tables are in the folder."""
    folder.mkdir()
    (folder / "spark-defaults.conf").write_text(DEFAULTS)
    patch.setenv("SPARK_CONF_DIR", str(folder))
    patch.setenv("SPARK_WAREHOUSE", str(folder))
    patch.setenv("SPARK_MASTER", "local[2]")
    patch.setenv("JDK_JAVA_OPTIONS", JAVA)
    yield
    from pyspark.sql import SparkSession

    SparkSession.builder.getOrCreate().stop()


def partitions(warehouse: Path, schema: str) -> dict[str, set[str]]:
    """The names of the data files of each partition of Spark's tables."""
    root, files = warehouse / "tables" / f"{schema}.db", dict[str, set[str]]()
    for file in root.glob("*/*=*/**/*.parquet"):
        files.setdefault(str(file.parent.relative_to(root)), set()).add(file.name)
    return files


def check() -> None:
    """Raise UsageError where Spark must be tested, as in CI, and cannot be."""
    if MISSING and os.environ.get("REQUIRE_SPARK"):
        raise pytest.UsageError(f"{REASON}. On Debian: apt-get install openjdk-17-jre-headless")


def tell(terminalreporter: Any) -> None:
    """Say at the end of the tests that Spark's were skipped."""
    if any(LOUD in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.section(LOUD, sep="!", red=True, bold=True)
        terminalreporter.write_line(REASON)
