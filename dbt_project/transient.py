"""Which failures of the database pass by themselves, so that the same work is worth a retry.

Judged by what a traceback says, since that is all that dbt hands on. Both drivers name an
exception after its SQLSTATE. Where there is none, the words are libpq's or the network's.
"""

import re
import traceback

from psycopg import errors

# Seconds before the second, third … attempt; after the last one there is no other.
WAITS_S = (1, 4, 10)

SQLSTATES = (
    "08000", "08001", "08003", "08006",  # the connection broke
    "25P03", "57P05",  # the server ended it for being idle
    "40001", "40P01",  # serialization failure, deadlock
    "53300",  # too many connections
    "57P01", "57P02", "57P03",  # the server shuts down, crashed, or starts up
)  # fmt: skip
NAMES = {errors.lookup(state).__name__ for state in SQLSTATES}
RAISED = re.compile(r"^psycopg2?\.(?:errors\.)?(\w+)(?:: |$)", re.MULTILINE)

# What a server or a pooler says when it refuses a connection that it may accept in a moment.
REFUSED_FOR_NOW = re.compile(
    "starting up|shutting down|recovery mode|not yet accepting|connection due to"
    "|too many (clients|connections)|connection slots are reserved|no more connections allowed"
    "|cannot connect to server|server login has been failing|query_wait_timeout"
)
BROKEN = re.compile(
    "refused|reset by peer|closed|timed out|timeout expired|unreachable|Broken pipe|EOF"
    "|is lost|Network is down|No route to host|Temporary failure in name resolution"
    r"|No such file or directory\s+Is the server running|could not receive data|no message from"
)


def is_transient(failure: BaseException | str) -> bool:
    """Return whether an exception, or the traceback of one, is of the passing kind."""
    if isinstance(failure, BaseException):
        failure = "".join(traceback.format_exception(failure))
    for raised in RAISED.finditer(failure):
        name, rest = raised.group(1), failure[raised.start() :]
        if name in NAMES:
            return True
        if name in ("OperationalError", "InterfaceError", "DatabaseError"):
            # The server's own word counts, even where another of its addresses was silent.
            return bool((REFUSED_FOR_NOW if "FATAL:" in rest else BROKEN).search(rest))
    return False
