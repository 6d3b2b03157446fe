"""Dependencies: pinned, consistent, and of permissive licences."""

import re
import subprocess
import sys
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dbt_project import ROOT

OWN = "analytics-rollups"
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|ZPL)\b", re.I
)
# Their terms apply to modified versions only.
WEAK_COPYLEFT = {
    "certifi": "MPL-2.0",
    "pathspec": "MPL 2.0",
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "psycopg-pool": "LGPL-3.0-only",
    "psycopg2-binary": "LGPL with exceptions",
    "text-unidecode": "Artistic License",
}
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """A distribution and all that it depends on, on this machine."""
    todo, done = [(name, extras)], set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        for requirement in map(Requirement, distribution(name).requires or []):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": one}) for one in (*extras, "")):
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in done}


RUNTIME = sorted(closure(OWN) - {OWN})


def test_the_constraints_hold_names_and_versions_only():
    text = (ROOT / "constraints.txt").read_text()
    for line in text.splitlines()[1:]:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line), line
    assert "://" not in text and "--" not in text


@pytest.mark.parametrize("extras", [frozenset(), frozenset({"dev"})], ids=["runtime", "dev"])
def test_everything_that_is_installed_is_pinned_at_its_version(extras):
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    needed = closure(OWN, extras) - {OWN}
    assert len(needed) > 40
    installed = {name: distribution(name).version for name in needed}
    assert installed.items() <= pins.items(), installed.items() - pins.items()


def test_what_is_installed_fits_together():
    outcome = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("name", RUNTIME)
def test_its_licence_is_permissive_or_known(name):
    about = distribution(name).metadata
    classifiers = [text for text in about.get_all("Classifier") or [] if "License" in text]
    told = " ".join([about.get("License-Expression") or about.get("License") or "", *classifiers])
    if name in WEAK_COPYLEFT:
        assert WEAK_COPYLEFT[name] in told
    else:
        assert PERMISSIVE.search(told) and not re.search(r"\b[AL]?GPL|Affero", told), told
