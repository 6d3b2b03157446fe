"""Every link in a document that stays within the project leads somewhere."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import documents
import pytest

from dbt_project import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*.md")]


def links(page: Path) -> Iterator[str]:
    for token in documents.PARSER.parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            if target := child.attrGet("href") or child.attrGet("src"):
                yield str(target)


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in addresses."""
    tokens = documents.PARSER.parse(page.read_text(encoding="utf-8"))
    headings = [after.content for t, after in pairwise(tokens) if t.type == "heading_open"]
    texts = (documents.plain(text).lower() for text in headings)
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    dead = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if re.match("[a-z]+:", link):
            assert link.startswith(("https://", "http://127.0.0.1")), link
        elif not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []
