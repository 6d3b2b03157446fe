"""Whole responses on the events of `handful.pgsql`, against files written by hand."""

from pathlib import Path

import pytest
from api_helpers import exact

GOLDEN = Path(__file__).with_name("golden")


@pytest.mark.parametrize(
    ("name", "window_days"), [("daily", 3), ("experiments", 2), ("funnels", 1), ("summary", 2)]
)
def test_response_equals_the_golden_file_in_content_and_order(get, name, window_days):
    response = get(f"/v1/metrics/{name}?window_days={window_days}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert exact(response.text) == exact((GOLDEN / f"{name}.json").read_text())
