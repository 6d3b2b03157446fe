"""The project's documents as data: blocks, tables, headings and links."""

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

from dbt_project import ROOT

PARSER = MarkdownIt("commonmark").enable("table")


class Block(NamedTuple):
    """A fenced block. `headings` are those above it, the page's own first."""

    headings: tuple[str, ...]
    language: str
    text: str


class Table(NamedTuple):
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]  # the head first; code without its backticks


class Document(NamedTuple):
    blocks: list[Block]
    tables: list[Table]
    headings: list[str]
    links: list[str]

    def under(self, heading: str, language: str) -> list[str]:
        """The texts of the blocks of a language anywhere below a heading."""
        return [b.text for b in self.blocks if heading in b.headings and b.language == language]

    def table(self, heading: str) -> list[tuple[str, ...]]:
        """The rows, without the head, of the one table right under a heading."""
        (found,) = (table.rows[1:] for table in self.tables if table.headings[-1] == heading)
        return found


def read(path: str | Path) -> Document:
    """Parse a document, named by its path in the project."""
    page, above = Document([], [], [], []), ()
    tokens = PARSER.parse((ROOT / path).read_text(encoding="utf-8"))
    for before, token in pairwise(tokens):
        for child in token.children or ():
            if link := child.attrGet("href") or child.attrGet("src"):
                page.links.append(str(link))
        if token.type == "table_open":
            page.tables.append(Table(above, []))
        elif token.type == "tr_open":
            page.tables[-1].rows.append(())
        elif token.type == "inline" and before.type in ("th_open", "td_open"):
            page.tables[-1].rows[-1] += (plain(token.content),)
        elif token.type == "inline" and before.type == "heading_open":
            above = (*above[: int(before.tag[1:]) - 1], plain(token.content))
            page.headings.append(above[-1])
        elif token.type == "fence":
            page.blocks.append(Block(above, token.info, token.content))
    return page


def plain(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"\1", text)
