"""DATABASE_URL: what of it is understood, dropped and refused."""

import os
import re
import ssl

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from dbt_project.messages import DatabaseError, echo

KNOWN = {option.keyword.decode() for option in Conninfo.get_defaults()}
# A parameter that libpq does not know is dropped, but not with such a name: it may be a misspelt
# demand for safety. These two are Prisma's own.
PRISMAS = {"sslaccept", "sslidentity"}
VITAL = re.compile("ssl|tls|cert|auth|pass|^(user|host|port|db)", re.IGNORECASE)
# What other clients write for an sslmode.
SSL_MODES = {"true": "require", "1": "require", "false": "disable", "0": "disable",
             "no-verify": "require"}  # fmt: skip
# Drop a silent connection after about half a minute; the system's defaults range from 15 minutes to
# never. The server's settings for its clients are derived from these.
TIMEOUTS = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 35_000,  # milliseconds
}
QUOTES = "'\""


def given_url() -> str | None:
    """Return DATABASE_URL, or None if it is not set. Raises DatabaseError if it is blank."""
    url = os.environ.get("DATABASE_URL")
    if url is not None and not url.strip(" \t\r\n'\""):
        raise DatabaseError(
            "DATABASE_URL is blank. Set it to the URL of the database, or unset it to use the"
            " embedded one."
        )
    return url


def parse_url(url: str) -> str:
    """Return the libpq conninfo of a URL as hosts, Prisma, SQLAlchemy and JDBC write it.

    Reports on stderr the parameters that it drops. Raises DatabaseError when the URL cannot be
    used; the message holds no part of it that may be secret.
    """
    url = url.strip()
    if len(url) > 1 and url[0] == url[-1] and url[0] in QUOTES:  # as `docker --env-file` keeps them
        url = url[1:-1].strip()
    scheme = re.match(r"(?:jdbc:)?postgres(?:ql)?(?:\+\w+)?://", url)
    if not scheme or url[-1] in QUOTES:
        quote = " Remove the quote." if url.strip(QUOTES) != url else ""
        proxy = " Prisma's proxy is no database." if url.startswith("prisma") else ""
        raise DatabaseError(
            f"DATABASE_URL must start with postgresql:// or postgres://.{quote}{proxy}"
        )
    base, _, query = url[scheme.end() :].partition("?")
    options = _options([option for option in query.split("&") if option], "@" in query)
    try:
        parameters = conninfo_to_dict(f"postgresql://{base}?{'&'.join(options)}".rstrip("?"))
    except psycopg.ProgrammingError as error:
        # libpq quotes the part it could not read, which may be the password.
        reason = re.sub(r'".*"', "a part of it", " ".join(str(error).split()))
        raise DatabaseError(
            f"DATABASE_URL cannot be read: {reason}. Percent-encode special characters in it."
        ) from None
    host, port = (str(parameters.get(name, "")) for name in ("host", "port"))
    if "@" in host or re.search("[^0-9,]", port):
        # A special character in the password ends it early; do not print the rest of it.
        raise DatabaseError(
            "DATABASE_URL has no valid host and port. Percent-encode special characters in it."
        )
    if parameters.get("sslrootcert") == "system":
        parameters.setdefault("sslmode", "verify-full")  # dbt has a default that libpq refuses here
        paths = ssl.get_default_verify_paths()  # the drivers' own OpenSSL looks elsewhere
        for variable, path in (("SSL_CERT_FILE", paths.cafile), ("SSL_CERT_DIR", paths.capath)):
            if path:
                os.environ.setdefault(variable, path)
    return make_conninfo("", **{**TIMEOUTS, "application_name": "analytics-rollups", **parameters})


def _options(options: list[str], is_cut: bool) -> list[str]:
    """Return the query parameters that libpq knows, and those that it can report best.

    Does not name a parameter where the query may be the rest of a password that `is_cut`.
    """
    kept, dropped, ssl_mode = [], [], None
    for option in options:
        name, equals, value = option.partition("=")
        if name in ("ssl", "sslmode"):
            value = SSL_MODES.get(value, value)
            ssl_mode = value if name == "sslmode" else ssl_mode or value
        elif name in KNOWN or is_cut or not (equals and name.isidentifier()):
            kept.append(option)
        elif VITAL.search(name) and name not in PRISMAS:
            raise DatabaseError(
                f"DATABASE_URL has a parameter {name}, which PostgreSQL does not know. Correct it,"
                " or remove it."
            )
        else:
            dropped.append(name)
    if dropped:
        schema = " SOURCE_SCHEMA names the schema of the app's tables." * ("schema" in dropped)
        echo(f"Ignoring {', '.join(dropped)} in DATABASE_URL.{schema}", err=True)
    return [*kept, f"sslmode={ssl_mode}"] if ssl_mode else kept
