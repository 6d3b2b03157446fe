"""The API's responses on a database, by endpoint and format."""

import re
from datetime import UTC, datetime

from api import create_app
from api.settings import Settings

TOKEN = "t"
PATHS = (
    "daily", "experiments", "funnels", "readouts", "summary",
    "conversions", "retention", "active", "dimensions",
)  # fmt: skip


def answers(url: str, now: datetime, window_days: int = 14) -> dict[str, str]:
    """Return what `raw_answers` does, without the last column of CSV.

    It is computed_at, which differs between runs.
    """
    return {
        name: re.sub(r",[^,\r\n]*$", "", body.replace("\r", ""), flags=re.M)
        if name.endswith(".csv")
        else body
        for name, body in raw_answers(url, now, window_days).items()
    }


def raw_answers(url: str, now: datetime, window_days: int = 14) -> dict[str, str]:
    """Return the body of every endpoint as of `now`, naive and in UTC; each must be a 200."""
    app = create_app(Settings(url, token=TOKEN), now=lambda: now.replace(tzinfo=UTC))
    client, found = app.test_client(), {}
    try:
        for path in PATHS:
            for kind in ("json", "csv") if path != "summary" else ("json",):
                days = "" if path == "readouts" else f"window_days={window_days}&"
                query = f"/v1/metrics/{path}?{days}format={kind}"
                response = client.get(query, headers={"x-dashboard-token": TOKEN}, buffered=True)
                assert response.status_code == 200, f"{query}: {response.text}"
                found[f"{path}.{kind}"] = response.text
    finally:
        app.extensions["database"].close()
    return found
