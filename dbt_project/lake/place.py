"""LAKE_PATH: where the source tables lie as Parquet, on a disk, in an object store or in HDFS."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from dbt_project.messages import Failure
from dbt_project.settings import BadSetting, lake_path

# Spark reads nothing below a name that begins with an underscore or a dot.
UNFINISHED = "_unfinished"
# What an export that was killed left behind; a younger file may be one that is being written.
ABANDONED = timedelta(days=1)
HELP = "Set LAKE_PATH to a folder, or to a URL such as s3a://bucket/folder."


def require_pyarrow() -> None:
    """Raise Failure unless the library that reads and writes Parquet is installed."""
    try:
        import pyarrow.fs  # noqa: F401
    except ImportError:
        raise Failure(
            "pyarrow is not installed, which writes Parquet. Install it with the extra spark:"
            " `.venv/bin/pip install --editable '.[spark]'`."
        ) from None


def given_path() -> str:
    """Return LAKE_PATH, a local path as an absolute one. Raises BadSetting if it is not set."""
    given = lake_path()
    if not given:
        raise BadSetting(f"LAKE_PATH is not set. {HELP}")
    if given.startswith("file:"):
        given = unquote(re.sub("^file:(//)?", "", given))
        if not given.startswith("/"):
            raise BadSetting(f"LAKE_PATH: a file: URL needs an absolute path. {HELP}")
    if re.match("[A-Za-z][A-Za-z0-9+.-]*://", given):
        return given.rstrip("/")
    return os.path.abspath(given)


def open_lake() -> "Place":
    """Return the place that LAKE_PATH names.

    Raises BadSetting where pyarrow cannot reach it, and Failure without pyarrow.
    """
    path = given_path()
    require_pyarrow()
    from pyarrow import ArrowException, fs

    if path.startswith("/"):
        return Place(fs.LocalFileSystem(), path, path)
    try:
        # Hadoop's name of S3 is s3a, and Arrow's is s3.
        system, root = fs.FileSystem.from_uri(re.sub("^s3[an]:", "s3:", path))
    except (OSError, ArrowException) as error:
        raise BadSetting(f"LAKE_PATH: {path} cannot be opened: {error}. {HELP}") from None
    return Place(system, root.rstrip("/"), path)


@dataclass(frozen=True)
class Place:
    """A folder of a file system of pyarrow's; names are relative to it."""

    system: Any
    root: str
    shown: str

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder, sorted, without what Spark ignores."""
        return sorted(name for name in self._infos(folder) if name[0] not in "_.")

    def open(self, name: str) -> Any:
        return self.system.open_input_file(f"{self.root}/{name}")

    @contextmanager
    def whole(self, name: str) -> Iterator[Any]:
        """Yield a stream of bytes, which become the file `name` at the end of the block.

        Until then, and for good if the block fails, the file stays as it was. Raises Failure where
        it cannot be written.
        """
        unfinished = f"{self.root}/{UNFINISHED}/{uuid4().hex}"
        try:
            self.system.create_dir(os.path.dirname(unfinished), recursive=True)
            stream = self.system.open_output_stream(unfinished)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            try:
                yield stream
            finally:
                stream.close()
            self._sync(unfinished)
            self.system.create_dir(os.path.dirname(f"{self.root}/{name}"), recursive=True)
            self.system.move(unfinished, f"{self.root}/{name}")
        except OSError as error:
            self._discard(unfinished)
            raise self._unwritable(error) from None
        except BaseException:
            self._discard(unfinished)
            raise

    def remove(self, folder: str) -> None:
        """Delete a folder with what is in it, if it is there."""
        try:
            if self._infos(folder):
                self.system.delete_dir(f"{self.root}/{folder}")
        except OSError as error:
            raise self._unwritable(error) from None

    def tidy(self) -> None:
        """Delete what exports left behind that were killed."""
        for name, info in self._infos(UNFINISHED).items():
            if info.mtime and datetime.now(UTC) - info.mtime > ABANDONED:
                self._discard(f"{self.root}/{UNFINISHED}/{name}")

    def _infos(self, folder: str) -> dict[str, Any]:
        from pyarrow import fs

        selector = fs.FileSelector(f"{self.root}/{folder}".rstrip("/"), allow_not_found=True)
        try:
            return {info.base_name: info for info in self.system.get_file_info(selector)}
        except OSError as error:
            raise Failure(f"LAKE_PATH cannot be read: {error}.") from None

    def _sync(self, path: str) -> None:
        """Let the file survive a power cut that comes after the one of its name."""
        if self.system.type_name == "local":
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _discard(self, path: str) -> None:
        with suppress(OSError):
            self.system.delete_file(path)

    def _unwritable(self, error: OSError) -> Failure:
        return Failure(f"LAKE_PATH: {self.shown} cannot be written: {error}.")
