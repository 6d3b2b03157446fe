"""Generate a lake of events: `python -m bench.lake EVENTS FOLDER`."""

import os
from pathlib import Path

import click

from bench import AS_OF

TABLES = ("assignments", "experiments", "experiment_variants")


@click.command()
@click.argument("events", type=int)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--master", default="local[2]", show_default=True)
def main(events: int, folder: Path, master: str) -> None:
    """Write about EVENTS events of EVENTS / 100 users in 180 days to a new FOLDER."""
    from pyspark.sql import SparkSession  # optional, and takes a second to import

    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", "--driver-memory 2g pyspark-shell")
    spark = (
        SparkSession.builder.master(master)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    text = Path(__file__).with_name("lake.sql").read_text()
    as_of = f"timestamp '{AS_OF.replace('T', ' ')}'"
    for statement in text.format(events=events, users=events // 100, as_of=as_of).split(";\n"):
        spark.sql(statement)
    unfinished = folder.with_name(folder.name + ".unfinished")
    for name in TABLES:
        spark.table(name).coalesce(1).write.mode("overwrite").parquet(f"{unfinished}/{name}")
    # One file a day, as `lake export` writes it.
    logs = spark.table("event_logs").repartition("day").write.partitionBy("day")
    logs.mode("overwrite").parquet(f"{unfinished}/event_logs")
    unfinished.rename(folder)
    spark.stop()


if __name__ == "__main__":
    main()
