"""A TCP proxy in front of a PostgreSQL that a test can cut, choke or unplug."""

import socket
import struct
import threading
from contextlib import suppress

import tables
from psycopg.conninfo import conninfo_to_dict

RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: close with RST instead of FIN


class Proxy:
    """Listens on a port of 127.0.0.1 and forwards to the server of a conninfo."""

    def __init__(self, conninfo: str):
        server = conninfo_to_dict(conninfo)
        self.host, self.port = server["host"], int(server.get("port", 5432))
        self.flows = threading.Event()
        self.flows.set()
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def url_of(self, conninfo: str) -> str:
        host, port = self.address
        return tables.url_of(conninfo, host=host, port=str(port))

    def cut(self) -> int:
        """Reset every connection; return how many there were."""
        ends, self.open = self.open, []
        for end in ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
        return len(ends) // 2

    def choke(self) -> None:
        """Let nothing through, in both directions, with every connection left open."""
        self.flows.clear()

    def flow(self) -> None:
        self.flows.set()

    def unplug(self) -> None:
        """Cut everything and refuse what comes."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def plug(self) -> None:
        self.listener = socket.create_server(self.address)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        listener = self.listener
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = self._connect()
                self.open += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._hand_on, args=ends, daemon=True).start()

    def _connect(self) -> socket.socket:
        if not self.host.startswith("/"):
            return socket.create_connection((self.host, self.port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self.host}/.s.PGSQL.{self.port}")
        return server

    def _hand_on(self, giver: socket.socket, taker: socket.socket) -> None:
        with suppress(OSError):
            while data := giver.recv(65536):
                self.flows.wait()
                taker.sendall(data)
        for end in (giver, taker):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        giver.close()
