"""Takes the pictures of docs/images from the demo's data: `make screenshots`."""

import pytest
from dashboard import DESKTOP, PHONE

from dbt_project import ROOT

FOLDER = ROOT / "docs" / "images"
WIDE = DESKTOP | {"height": 600}
TALL = DESKTOP | {"height": 1260}
PICTURES = {
    "overview": ("#/overview?window=14", "light", WIDE),
    "overview-dark": ("#/overview?window=14", "dark", WIDE),
    "experiments": ("#/experiments?window=14&experiment=exp_first_workout", "light", TALL),
    "funnel": ("#/funnel?window=30&experiment=exp_first_workout", "light", WIDE),
    "retention": ("#/retention?window=30", "light", WIDE),
    "ingestion": ("#/ingestion?window=30", "light", WIDE),
    "phone": ("#/funnel?window=14", "dark", PHONE),
}


@pytest.fixture(scope="session")
def demo_size():
    return {}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_taken(visit, site, name):
    hash, scheme, size = PICTURES[name]
    page = visit(site, hash, viewport=size, color_scheme=scheme)
    page.page.mouse.move(0, 0)
    page.page.evaluate("document.activeElement.blur()")
    page.page.wait_for_timeout(300)
    page.page.screenshot(path=FOLDER / f"{name}.png", full_page=name != "experiments")
