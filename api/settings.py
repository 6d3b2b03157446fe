"""The API's settings, read from environment variables here and nowhere else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from dbt_project import settings
from dbt_project.database import analytics_schema
from dbt_project.messages import DatabaseError
from dbt_project.settings import KEY_EVENT, UTC, BadSetting
from dbt_project.url import given_url, parse_url

THREADS = 8


@dataclass(frozen=True)
class Settings:
    conninfo: str = field(repr=False)
    token: str | None = field(repr=False, default=None)
    link_token: str | None = field(repr=False, default=None)
    schema: str = "analytics"
    timezone: ZoneInfo = UTC
    key_events: tuple[str, ...] = (KEY_EVENT,)
    cors_origins: tuple[str, ...] = ()
    pool_size: int = THREADS
    exports: int = THREADS // 4
    pool_timeout_s: float = 2.0
    statement_timeout_s: float = 10.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be logged."""
        return tuple(filter(None, (self.token, self.link_token)))


def from_environment(conninfo: str | None = None) -> Settings:
    """Read the settings; DATABASE_URL names the database if no `conninfo` is given.

    Raises DatabaseError or BadSetting with a sentence for the user.
    """
    url = given_url()
    if conninfo is None and url is None:
        raise DatabaseError(
            "DATABASE_URL is not set. Set it, or start the API with `python cli.py serve`, which"
            " brings a database."
        )
    pool_size = int(_number(os.environ, "API_POOL_SIZE", threads(), least=1))
    # A token from a file may end with a line break, which a header cannot contain.
    token = os.environ.get("DASHBOARD_TOKEN", "").strip() or None
    link_token = os.environ.get("LINK_TOKEN", "").strip() or None
    if token and token == link_token:
        raise BadSetting("LINK_TOKEN must differ from DASHBOARD_TOKEN, which never is in a URL.")
    return Settings(
        conninfo=parse_url(url or "") if conninfo is None else conninfo,
        token=token,
        link_token=link_token,
        schema=analytics_schema(),
        timezone=settings.timezone(),
        key_events=settings.key_events(),
        cors_origins=_origins(os.environ.get("CORS_ORIGINS", "")),
        pool_size=pool_size,
        # Exports take long; they leave the other threads and connections to other requests.
        exports=max(min(threads(), pool_size) // 4, 1),
        pool_timeout_s=_number(
            os.environ, "API_POOL_TIMEOUT_S", Settings.pool_timeout_s, least=0.1
        ),
        statement_timeout_s=_number(
            os.environ, "API_STATEMENT_TIMEOUT_S", Settings.statement_timeout_s, least=0.1
        ),
    )


def threads() -> int:
    """Return the number of requests that are served at once."""
    return int(_number(os.environ, "API_THREADS", THREADS, least=1))


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not origin.startswith(("http://", "https://")):
            raise BadSetting(
                f"CORS_ORIGINS: {origin!r} is not an origin such as https://dashboard.example.com."
            )
    return origins


def _number(environment: Mapping[str, str], name: str, default: float, least: float) -> float:
    text = environment.get(name, "").strip()
    try:
        number = float(text) if text else float(default)
    except ValueError:
        number = float("nan")
    if not least <= number <= 86400:
        raise BadSetting(f"{name} must be a number of at least {least:g}, not {text!r}.")
    return number
