"""Which failures of the database are transient, so that a retry makes sense, and when to retry.

dbt hands on no more than a traceback, so that is what is judged. Both drivers name an exception
after its SQLSTATE. Where there is none, the words are libpq's or the network's.
"""

import re
import traceback

from psycopg import errors

# Seconds before the second, third … attempt; there is none after the last one.
WAITS_S = (1, 4, 10)

SQLSTATES = (
    "08000", "08001", "08003", "08006",  # the connection broke
    "25P03", "57P05",  # the server ended it for being idle
    "40001", "40P01",  # serialization failure, deadlock
    "42P06", "42P07",  # plain dbt created the schema or table at this moment
    "53300",  # too many connections
    "57P01", "57P02", "57P03",  # the server shuts down, crashed, or starts up
)  # fmt: skip
NAMES = {errors.lookup(state).__name__ for state in SQLSTATES}
# The same, where both were about to create it.
CREATED_TWICE = re.compile('unique constraint "pg_(namespace|class|type)_')
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
    """Return whether a retry may help after an exception, or the traceback of one."""
    if isinstance(failure, BaseException):
        failure = "".join(traceback.format_exception(failure))
    for raised in RAISED.finditer(failure):
        name, rest = raised.group(1), failure[raised.start() :]
        if name in NAMES or (name == "UniqueViolation" and CREATED_TWICE.search(rest)):
            return True
        if name in ("OperationalError", "InterfaceError", "DatabaseError"):
            # What the server said counts, even where another of its addresses did not answer.
            return bool((REFUSED_FOR_NOW if "FATAL:" in rest else BROKEN).search(rest))
    return False
