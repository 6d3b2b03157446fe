"""A PostgreSQL of a test's own, safe against crashes, to stop and start at will."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from dbt_project.embedded import BIN, server_account


class OwnServer:
    """Listens on TCP, on every address, without asking for a password."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rollup-chaos-"))
        self.user = None
        if os.geteuid() == 0:  # as which PostgreSQL refuses to run
            self.user = server_account().pw_name
            shutil.chown(self.folder, self.user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._do("initdb", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all all all trust\n{rules.read_text()}")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses=* -c port={self.port} -k {self.folder}"
        self._do("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._do("pg_ctl", "-w", "-m", mode, "stop")

    def remove(self) -> None:
        self.stop("fast")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, host: str = "127.0.0.1") -> str:
        return f"postgresql://postgres@{host}:{self.port}/postgres"

    def _do(self, program: str, *arguments: str) -> None:
        command = [BIN / program, "-D", self.folder / "data", *arguments]
        subprocess.run(
            command, check=True, timeout=120, stdout=subprocess.DEVNULL, cwd="/", user=self.user
        )
